package middleware

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
)

// trickle begins a request whose body comes a byte now and then, and never ends.
// It returns what the handler's status was, 0 without an answer.
func (s *served) trickle(client *http.Client, url string, every time.Duration) <-chan int {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	from, to := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, "POST", url, from)
	if err != nil {
		s.t.Fatal(err)
	}
	status, sent := make(chan int, 1), make(chan struct{})
	go func() {
		resp, err := client.Do(req)
		if err != nil {
			status <- 0
			return
		}
		defer resp.Body.Close()
		status <- resp.StatusCode
	}()
	go func() {
		defer close(sent)
		for {
			if _, err := to.Write([]byte("x")); err != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(every):
			}
		}
	}()
	s.t.Cleanup(func() {
		cancel()
		to.CloseWithError(io.ErrClosedPipe)
		<-sent
		client.CloseIdleConnections()
	})
	return status
}

// uploading is an engine whose /up answers with as much as is heavy, once its
// request's body is there.
func uploading(size int) *gin.Engine {
	r := gin.New()
	r.POST("/up", func(c *gin.Context) {
		if _, err := io.Copy(io.Discard, c.Request.Body); err != nil {
			c.Status(http.StatusRequestTimeout)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				c.Status(http.StatusBadRequest)
			}
			return
		}
		c.JSON(200, strings.Repeat("x", size))
	})
	return r
}

// clients of HTTP/1 and HTTP/2, each with a connection of its own.
func (s *served) uploaders() map[string]func() (client *http.Client, url string) {
	return map[string]func() (*http.Client, string){
		"HTTP/1": func() (*http.Client, string) {
			return &http.Client{Transport: &http.Transport{}}, s.url + "/up"
		},
		"HTTP/2": func() (*http.Client, string) {
			return &http.Client{Transport: &http.Transport{
				TLSClientConfig: s.trust.Clone(), ForceAttemptHTTP2: true,
			}}, "https://" + s.secure + "/up"
		},
	}
}

func (s *served) post(client *http.Client, url string) {
	s.t.Helper()
	resp, err := client.Post(url, "text/plain", strings.NewReader("whole"))
	if err != nil {
		s.t.Error(err)
		return
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); resp.StatusCode != 200 || err != nil {
		s.t.Errorf("%s %s, %d bytes, %v", resp.Proto, resp.Status, n, err)
	}
}

// Three responses of this size are a processor's working set.
const uploadSize = workingSet / 3

func TestUploadsThatTrickleDoNotShutTheirRoute(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the working set is for each
	s := serve(t, uploading(uploadSize), WithMemoryBudget(1<<30))
	for name, uploader := range s.uploaders() {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			client, url := uploader()
			defer client.CloseIdleConnections()
			s.post(client, url) // so that the weight is known
			for range 2 * 3 {
				s.trickle(client, url, 100*time.Millisecond)
			}
			until(t, func() bool { return s.guard.Stats().InFlight == 6 })
			s.post(client, url)
			if st := s.guard.Stats(); st.InFlight != 6 || st.Shed != 0 || st.Cut != 0 {
				t.Errorf("%+v", st)
			}
		})
		until(t, func() bool { return s.guard.Stats().InFlight == 0 })
	}
}

func TestUploadsThatTrickleAreCutForThoseWhoWait(t *testing.T) {
	s := serve(t, uploading(uploadSize), WithMemoryBudget(uploadSize), func(c *config) { c.readsFor = 500 * time.Millisecond })
	for name, uploader := range s.uploaders() {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			client, url := uploader()
			defer client.CloseIdleConnections()
			s.post(client, url)
			before := s.guard.Stats().Cut
			var status []<-chan int
			for range floor {
				status = append(status, s.trickle(client, url, 50*time.Millisecond))
			}
			until(t, func() bool { return s.guard.Stats().InFlight == floor })
			s.post(client, url)
			cut := int(s.guard.Stats().Cut - before)
			if cut == 0 {
				t.Fatalf("nobody was cut: %+v", s.guard.Stats())
			}
			timedOut := 0
			until(t, func() bool {
				for _, ch := range status {
					select {
					case code := <-ch:
						if code == http.StatusRequestTimeout {
							timedOut++
						}
					default:
					}
				}
				return timedOut == cut
			})
		})
		until(t, func() bool { return s.guard.Stats().InFlight == 0 })
	}
}

func TestAnUploadThatStallsIsAnswered(t *testing.T) {
	s := serve(t, uploading(1), WithReadStall(200*time.Millisecond))
	for name, uploader := range s.uploaders() {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			client, url := uploader()
			if code := await(t, s.trickle(client, url, time.Hour)); code != http.StatusRequestTimeout {
				t.Errorf("status %d", code)
			}
		})
	}
}

func TestAnUploadInItsOwnTimeArrives(t *testing.T) {
	s := serve(t, uploading(uploadSize), WithMemoryBudget(1<<30), WithReadStall(0))
	for name, uploader := range s.uploaders() {
		t.Run(name, func(t *testing.T) {
			client, url := uploader()
			defer client.CloseIdleConnections()
			from, to := io.Pipe()
			go func() {
				for range 10 {
					time.Sleep(20 * time.Millisecond)
					_, _ = to.Write(make([]byte, 100_000))
				}
				to.Close()
			}()
			resp, err := client.Post(url, "text/plain", from)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if n, err := io.Copy(io.Discard, resp.Body); n != uploadSize+2 || err != nil {
				t.Errorf("%s, %d bytes, %v", resp.Status, n, err)
			}
		})
	}
	until(t, func() bool { return s.guard.Stats().InFlight == 0 && s.guard.Stats().Held == 0 })
}
