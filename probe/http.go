package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

const (
	// httpBody is how much of a response's body is read. A response that is
	// shorter has to be complete. As much as kubelet reads:
	// https://github.com/kubernetes/kubernetes/blob/master/pkg/probe/http/http.go
	httpBody = 10 << 10
	// httpHeader bounds the response's header: net/http's own limit, 10 MB, is
	// no bound for something that runs every few seconds.
	httpHeader = 64 << 10
)

// HTTP returns a check that passes if a GET of the URL is answered with a status
// from 200 to 299. Redirects are not followed, since where they lead may be up
// while the service is down; the error names the target.
//
// Every run makes a connection of its own over HTTP/1.1 and closes it, so that it
// also finds out what a kept connection hides: a name that is no longer
// resolved, a listener that is gone, a certificate that has expired. Proxies are
// taken from the environment, as http.DefaultTransport takes them. For headers,
// client certificates or another status, write a check with a client of your
// own.
//
// The URL's password is not part of errors.
func HTTP(target string) func(context.Context) error {
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return mistaken(fmt.Errorf("probe: HTTP: the URL cannot be parsed: %w", errors.Unwrap(err))) // *url.Error has all of it
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return mistaken(fmt.Errorf("probe: HTTP: the URL has the scheme %q and the host %q: use http:// or https:// and a host", u.Scheme, u.Host))
	}
	name := u.Redacted()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	client := &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: httpHeader,
			Protocols:              protocols,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return fmt.Errorf("probe: HTTP: %w", err)
		}
		req.Header.Set("User-Agent", "probelane")
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("probe: %w", err) // it says "Get" and the URL
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, httpBody)); err != nil {
			return fmt.Errorf("probe: Get %q: reading the body: %w", name, err)
		}
		status := fmt.Sprint(resp.StatusCode, " ", http.StatusText(resp.StatusCode))
		switch location := resp.Header.Get("Location"); {
		case resp.StatusCode >= 200 && resp.StatusCode < 300:
			return nil
		case resp.StatusCode >= 300 && resp.StatusCode < 400 && location != "":
			return fmt.Errorf("probe: Get %q: %s to %.200q: check that URL instead", name, status, location)
		default:
			return fmt.Errorf("probe: Get %q: %s", name, status)
		}
	}
}
