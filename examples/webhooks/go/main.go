// Command go receives webhooks: it checks their signatures and prints what happened. See the README beside it.
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/clientele-api/clientele/gen/client"
)

func main() {
	handler, err := receiver(os.Getenv("WEBHOOK_SECRET"), os.Stdout, os.Stderr)
	if err == nil {
		server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: handler, ReadTimeout: 10 * time.Second}
		err = server.ListenAndServe()
	}
	fmt.Fprintln(os.Stderr, "receiver:", err)
	os.Exit(1)
}

const (
	maxBody = 1 << 20
	minKey  = 24 // bytes
)

// receiver makes a handler that prints the events that are signed with the secret, and on the side why it refused others.
func receiver(secret string, out, side io.Writer) (http.Handler, error) {
	// The library takes any Base64, and "null" is some: a key that anybody knows.
	encoded, found := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !found || len(key) < minKey {
		return nil, errors.New("set WEBHOOK_SECRET to the secret of the endpoint, whsec_ and Base64")
	}
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			err = hook.Verify(body, r.Header) // over the body as it came, before anything is made of it
		}
		var event client.Event
		if err == nil {
			err = json.Unmarshal(body, &event)
		}
		if err != nil {
			fmt.Fprintln(side, "receiver: refused a request:", err)
			http.Error(w, "not from Clientele", http.StatusBadRequest)
			return
		}
		id := r.Header.Get(standardwebhooks.HeaderWebhookID)
		mu.Lock()
		defer mu.Unlock()
		if !seen[id] { // it may come more than once
			seen[id] = true
			fmt.Fprintln(out, event.Type, event.Resource.Id)
		}
		w.WriteHeader(http.StatusNoContent)
	}), nil
}
