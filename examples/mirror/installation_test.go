package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test run the mirror as a process of its own, to be killed: this very binary, told so by a variable.
func TestMain(m *testing.M) {
	if os.Getenv("MIRROR_TEST_AS_PROGRAM") == "" {
		os.Exit(m.Run())
	}
	if err := run(context.Background(), os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const (
	email    = "admin@example.com"
	password = "four words are better"
)

// installation is the real program, on a database of its own.
type installation struct {
	binary, dir      string
	server           *exec.Cmd
	url, token       string
	clientID, secret string // of the mirror
}

func start(t *testing.T) *installation {
	t.Helper()
	i := &installation{dir: t.TempDir()}
	i.binary = filepath.Join(i.dir, "clientele")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", i.binary, "./cmd/clientele")
	build.Dir = "../.."
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	i.serve(t, "127.0.0.1:0")
	t.Cleanup(func() {
		_ = i.server.Process.Signal(syscall.SIGTERM)
		_ = i.server.Wait()
	})
	i.signIn(t)
	var program struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	scopes := []string{"customers:read", "events:read"}
	require.Equal(t, 201, i.call(t, "POST", "/v1/api-clients", object{"name": "Mirror", "scopes": scopes}, &program))
	i.clientID, i.secret = program.ID, program.Secret
	return i
}

// serve starts the server at an address.
func (i *installation) serve(t *testing.T, address string) {
	t.Helper()
	i.server = exec.Command(i.binary) //nolint:noctx // it is asked to end
	i.server.Env = append(os.Environ(), "CLIENTELE_ADDR="+address, "CLIENTELE_DATA_DIR="+filepath.Join(i.dir, "data"), "CLIENTELE_DATABASE_URL=",
		"CLIENTELE_LOG_LEVEL=error", "CLIENTELE_ADMIN_EMAIL="+email, "CLIENTELE_ADMIN_PASSWORD="+password)
	i.server.Stderr = t.Output()
	stdout, err := i.server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, i.server.Start())
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	i.url = regexp.MustCompile(`http://[^,]+`).FindString(ready)
}

// killServer kills the server, whose database ends with it, and starts it again where it was.
func (i *installation) killServer(t *testing.T) {
	t.Helper()
	require.NoError(t, i.server.Process.Kill())
	_ = i.server.Wait()
	i.serve(t, strings.TrimPrefix(i.url, "http://"))
}

func (i *installation) signIn(t *testing.T) {
	t.Helper()
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	i.call(t, "POST", "/oauth/token", "grant_type=password&client_id=staff&username="+email+"&password="+strings.ReplaceAll(password, " ", "+"), &granted)
	i.token = granted.AccessToken
}

// call calls the API with JSON, or with a form where the body is a text.
func (i *installation) call(t *testing.T, method, path string, body, into any) int {
	t.Helper()
	status, answer, err := i.attempt(t.Context(), method, path, body)
	require.NoError(t, err)
	require.Less(t, status, 500, string(answer))
	if into != nil {
		require.NoError(t, json.Unmarshal(answer, into), string(answer))
	}
	return status
}

// attempt is call for whom the server may not be there for.
func (i *installation) attempt(ctx context.Context, method, path string, body any) (status int, answer []byte, err error) {
	text, isForm := body.(string)
	if !isForm && body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		text = string(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, i.url+path, strings.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if isForm {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if i.token != "" {
		request.Header.Set("Authorization", "Bearer "+i.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

type object = map[string]any

func (i *installation) create(t *testing.T, n int) string {
	t.Helper()
	var created struct {
		ID string `json:"id"`
	}
	require.Equal(t, 201, i.call(t, "POST", "/v1/customers", object{"name": fmt.Sprint("Customer ", n), "properties": object{"n": n}}, &created))
	return created.ID
}

func (i *installation) delete(t *testing.T, id string) {
	t.Helper()
	var plan struct {
		Token string `json:"confirmation_token"`
	}
	require.Equal(t, 428, i.call(t, "DELETE", "/v1/customers/"+id, nil, &plan))
	require.Equal(t, 204, i.call(t, "DELETE", "/v1/customers/"+id+"?confirm="+plan.Token, nil, nil))
}

// mirror gives the mirror as a process.
func (i *installation) mirror(t *testing.T, output io.Writer, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...) //nolint:noctx // it is killed
	cmd.Env = append(os.Environ(), "MIRROR_TEST_AS_PROGRAM=1", "CLIENTELE_URL="+i.url, "CLIENTELE_CLIENT_ID="+i.clientID, "CLIENTELE_CLIENT_SECRET="+i.secret)
	cmd.Stdout, cmd.Stderr = output, output
	return cmd
}

// truth is what the API says, by id.
func (i *installation) truth(t *testing.T) map[string]customer {
	t.Helper()
	all := map[string]customer{}
	for cursor := ""; ; {
		var page struct {
			Data       []customer `json:"data"`
			NextCursor *string    `json:"next_cursor"`
		}
		require.Equal(t, 200, i.call(t, "GET", "/v1/customers?limit=200&sort=created_at"+cursor, nil, &page))
		for _, one := range page.Data {
			all[one.ID] = one
		}
		if page.NextCursor == nil {
			return all
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

// beside is the installation for a writer of its own, at the address where it stays.
func (i *installation) beside() *installation {
	return &installation{url: i.url, token: i.token}
}

// write makes a customer, changes it and moves it below another, and deletes every other one, as far as the server is there.
func (i *installation) write(ctx context.Context, name string, written *atomic.Int64) bool {
	var made struct {
		ID string `json:"id"`
	}
	do := func(method, path string, body any, expected int) bool {
		status, answer, err := i.attempt(ctx, method, path, body)
		if err != nil || status != expected {
			return false
		}
		written.Add(1)
		return method != "POST" || json.Unmarshal(answer, &made) == nil
	}
	if !do("POST", "/v1/customers", object{"name": name}, 201) {
		return false
	}
	parent := made.ID
	if !do("POST", "/v1/customers", object{"name": name + " below"}, 201) {
		return false
	}
	if !do("PATCH", "/v1/customers/"+made.ID, object{"name": name + " changed", "properties": object{"of": name}}, 200) ||
		!do("PATCH", "/v1/customers/"+made.ID, object{"parent_id": parent}, 200) || rand.IntN(2) == 0 {
		return ctx.Err() == nil
	}
	var plan struct {
		Token string `json:"confirmation_token"`
	}
	status, answer, err := i.attempt(ctx, "DELETE", "/v1/customers/"+made.ID, nil)
	return err == nil && status == 428 && json.Unmarshal(answer, &plan) == nil &&
		do("DELETE", "/v1/customers/"+made.ID+"?confirm="+plan.Token, nil, 204)
}
