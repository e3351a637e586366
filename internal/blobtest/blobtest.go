// Package blobtest gives tests a real S3 server, with no service, container or account needed: versitygw, pinned in
// s3.mod and built by the go command when a test first asks for it, which takes about a minute once. A test that cannot
// have one fails; it is never skipped.
//
// It must not be imported by anything but tests.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Bucket is an empty bucket of the test's own.
type Bucket struct {
	URL      string // for blobs.New
	Endpoint string // of the server, for those who put something in between
	Name     string
	Dir      string // where the server keeps what is in the bucket, with its temporary files
}

// NewBucket makes a bucket on the S3 server of this test process, which is started for the first one.
func NewBucket(t testing.TB) Bucket {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatalf("no S3 server: %v", err)
	}
	name := strings.ToLower(rand.Text())
	dir := filepath.Join(server.dir, "buckets", name)
	if err := os.Mkdir(dir, 0o700); err != nil { // which is what a bucket is to this server
		t.Fatalf("making a bucket: %v", err)
	}
	return Bucket{URL: URL(server.endpoint, name), Endpoint: server.endpoint, Name: name, Dir: dir}
}

// URL names a bucket on a server that speaks S3.
func URL(endpoint, bucket string) string {
	return fmt.Sprintf("s3://%s?endpoint=%s&region=us-east-1&use_path_style=true", bucket, endpoint)
}

type server struct {
	endpoint string
	dir      string
}

// shared is the server of this test process. It has to be a global: a process has one, and no test knows of the others.
var shared = sync.OnceValues(start)

// patience bounds the build and the start.
const patience = 8 * time.Minute

func start() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	program, err := build(ctx)
	if err != nil {
		return nil, err
	}
	// The driver asks the environment who it is. This is nobody's account, and no other is used by accident.
	access, secret := "clientele", rand.Text()
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": ""} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	const attempts = 3 // the port was free a moment ago
	for range attempts {
		var started *server
		if started, err = run(ctx, program, access, secret); err == nil {
			return started, nil
		}
	}
	return nil, err
}

// build gives the path of the server's program, which the go command keeps in its cache.
func build(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	modules := filepath.Join(strings.TrimSpace(string(root)), "s3.mod")
	command := exec.CommandContext(ctx, "go", "tool", "-modfile="+modules, "-n", "versitygw")
	var complaints bytes.Buffer
	command.Stderr = &complaints
	program, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("building the S3 server: %w: %s", err, complaints.String())
	}
	return strings.TrimSpace(string(program)), nil
}

// keeper runs a server for as long as its own input lasts: the kernel ends that with the process that starts it, however
// that ends. It then removes the directory $1.
const keeper = `
trap '' INT # a terminal's Ctrl-C is for the tests alone
dir="$1"
shift
"$@" </dev/null >"$dir/server.log" 2>&1 &
server=$!
cat
kill -KILL "$server"
wait "$server"
rm -rf "$dir"
`

// run starts the server and waits until it answers.
func run(ctx context.Context, program, access, secret string) (*server, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "clientele-s3-")
	if err != nil {
		return nil, err
	}
	for _, part := range []string{"buckets", "metadata"} {
		if err := os.Mkdir(filepath.Join(dir, part), 0o700); err != nil {
			return nil, err
		}
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	health := "/" + strings.ToLower(rand.Text()) // nobody else answers this, should the port not be ours
	//nolint:noctx // it lives as long as this process
	command := exec.Command("/bin/sh", "-c", keeper, "sh", dir, program, "--port", address, "--health", health,
		"--access", access, "--secret", secret, "--keep-alive", "--quiet", "--disable-acl",
		"posix", "--sidecar", filepath.Join(dir, "metadata"), filepath.Join(dir, "buckets"))
	command.Dir, command.Stdin = "/", reader
	if err := command.Start(); err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	go func() { // keeps the pipe open, and from the garbage collector
		_ = command.Wait()
		_ = writer.Close()
	}()
	endpoint := "http://" + address
	if err := await(ctx, endpoint+health); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "server.log"))
		return nil, errors.Join(fmt.Errorf("%w: %s", err, log), writer.Close()) // which also removes it
	}
	return &server{endpoint: endpoint, dir: dir}, nil
}

func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// await asks until the answer is good.
func await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("the answer is %s", response.Status)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the S3 server: %w", err)
		}
	}
}
