// Command integrator-go goes through what a program does that works with Clientele: it signs in, creates customers, lists
// them page by page, changes one, reads what the server refuses, sends a file and fetches one, and deletes what it made.
// It is written to be copied from.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/clientele-api/clientele/gen/client"
)

// callTimeout is how long one attempt may take. Uploads and downloads of large files need more.
const callTimeout = 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Getenv, os.Stdout, sleep)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integrator-go:", err)
		os.Exit(1)
	}
}

// run connects with the installation that the environment names and does everything once.
func run(
	ctx context.Context, getenv func(string) string, stdout io.Writer, wait func(context.Context, time.Duration) error,
) error {
	s := &session{
		http:     &http.Client{Timeout: callTimeout},
		url:      strings.TrimRight(cmp.Or(getenv("CLIENTELE_URL"), "http://127.0.0.1:8080"), "/"),
		clientID: getenv("CLIENTELE_CLIENT_ID"), secret: getenv("CLIENTELE_CLIENT_SECRET"), wait: wait,
	}
	if parsed, err := url.Parse(s.url); err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" {
		return errors.New("CLIENTELE_URL must be an address such as https://clientele.example.com")
	}
	if s.clientID == "" || s.secret == "" {
		return errors.New("set CLIENTELE_CLIENT_ID and CLIENTELE_CLIENT_SECRET")
	}
	api, err := client.NewClientWithResponses(s.url, client.WithHTTPClient(s))
	if err != nil {
		return err
	}
	return (&trip{api: api, out: stdout}).all(ctx)
}
