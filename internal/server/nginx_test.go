package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestCut_ThroughNginx looks at a cut response from behind a proxy that speaks
// HTTP/1.0 to its upstream, nginx's default: there a body has no other end
// than that of the connection.
func TestCut_ThroughNginx(t *testing.T) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	r := start(t, quick(), func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != "HTTP/1.0" {
			t.Errorf("nginx spoke %s", r.Proto)
		}
		if r.URL.Path == "/whole" {
			w.Write(large)
			return
		}
		recovered(w, r)
	})

	dir, err := os.MkdirTemp("", "nginx") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	server { listen unix:%[2]s; location / { proxy_pass http://%[3]s; } }
}`, dir, socket, r.addr)
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-p", dir, "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }
	until(t, "nginx listens", func() bool {
		c, err := dial(context.Background(), "", "")
		if err == nil {
			c.Close()
		}
		return err == nil
	})

	tr := &http.Transport{DialContext: dial}
	defer tr.CloseIdleConnections()
	fetch := func(path string) (int, error) {
		resp, err := (&http.Client{Transport: tr}).Get("http://nginx" + path)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %s", resp.Status)
		}
		return int(n), err
	}
	if n, err := fetch("/whole"); n != len(large) || err != nil {
		t.Errorf("whole: %d bytes, %v", n, err)
	}
	if n, err := fetch("/"); err == nil {
		t.Errorf("cut: %d bytes and no error: looks like a whole response", n)
	}
}
