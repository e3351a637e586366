package webhooks

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func post(t *testing.T, sender *Sender, url string) attempt {
	t.Helper()
	made, err := sender.send(t.Context(), message{url: url, id: "id", signatures: "v1,x", at: time.Now(), body: []byte("{}")})
	require.NoError(t, err)
	return made
}

// counting is a server that counts who comes.
func counting(t *testing.T, answer http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server, &requests
}

// resolving gives a resolver whose only server answers each question with the next of the addresses, and the last one
// again and again.
func resolving(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buffer := make([]byte, 512)
		asked := 0
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			var query dnsmessage.Message
			if query.Unpack(buffer[:n]) != nil {
				continue
			}
			question := query.Questions[0]
			query.Response, query.Additionals = true, nil
			address := netip.MustParseAddr(addresses[min(asked, len(addresses)-1)])
			header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET}
			switch {
			case question.Type == dnsmessage.TypeA && address.Is4():
				asked++
				query.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: address.As4()}}}
			case question.Type == dnsmessage.TypeAAAA && address.Is6():
				asked++
				query.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}}}
			}
			packed, err := query.Pack()
			if err == nil {
				_, _ = server.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func TestAddressesThatAreNotPublic(t *testing.T) {
	t.Parallel()
	closed := NewSender(SenderOptions{})
	for _, address := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250",
		"240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1",
		"ff02::1", "fe80::1%eth0", "2606:4700::1111%eth0",
	} {
		require.False(t, closed.mayReach("https", netip.MustParseAddr(address)), address)
		require.False(t, closed.mayReach("http", netip.MustParseAddr(address)), address)
	}
	for _, address := range []string{"8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"} {
		require.True(t, closed.mayReach("https", netip.MustParseAddr(address)), address)
		require.False(t, closed.mayReach("http", netip.MustParseAddr(address)), "not encrypted: %s", address)
	}
	open := NewSender(SenderOptions{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}})
	for address, allowed := range map[string]bool{
		"10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": false, "fd00:1::5": true, "fd00:2::5": false, "::ffff:10.1.2.3": false,
	} {
		require.Equal(t, allowed, open.mayReach("https", netip.MustParseAddr(address)), address)
		require.Equal(t, allowed, open.mayReach("http", netip.MustParseAddr(address)), address)
	}
	wide := NewSender(SenderOptions{Allow: []netip.Prefix{netip.MustParsePrefix("::/0"), loopback}})
	for _, scheme := range []string{"http", "https"} {
		require.True(t, wide.mayReach(scheme, netip.MustParseAddr("::1")))
		require.False(t, wide.mayReach(scheme, netip.MustParseAddr("::ffff:127.0.0.1")), "whatever is allowed")
	}
}

// TestMappedAddresses: net makes an IPv4 address of a mapped one before anybody is asked, so the URL is looked at as well.
func TestMappedAddresses(t *testing.T) {
	t.Parallel()
	server, requests := counting(t, nil)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	sender := NewSender(SenderOptions{Allow: []netip.Prefix{loopback}, Resolver: resolving(t, "::ffff:127.0.0.1")})
	for _, host := range []string{"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]"} {
		for _, scheme := range []string{"http", "https"} {
			require.Equal(t, notAllowed, post(t, sender, scheme+"://"+host+":"+port+"/").failure, host)
		}
	}
	require.Zero(t, requests.Load())
	require.Empty(t, post(t, sender, "http://hooks.example.com:"+port+"/").failure, "a name is judged by what it stands for")
	require.EqualValues(t, 1, requests.Load())
}

// TestWhatANameMeansIsDecidedWhenItIsConnectedTo: a name that has led to an allowed address leads to another one now.
func TestWhatANameMeansIsDecidedWhenItIsConnectedTo(t *testing.T) {
	t.Parallel()
	server, requests := counting(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	url := "http://hooks.example.com:" + port + "/"

	only := netip.MustParsePrefix("127.0.0.1/32")
	for _, second := range []string{"127.0.0.2", "10.0.0.1", "::1", "fe80::1", "0.0.0.0", "8.8.8.8"} {
		before := requests.Load()
		sender := NewSender(SenderOptions{Allow: []netip.Prefix{only}, Resolver: resolving(t, "127.0.0.1", second)})
		require.Empty(t, post(t, sender, url).failure)
		require.Equal(t, before+1, requests.Load())
		require.Equal(t, notAllowed, post(t, sender, url).failure, second)
		require.Equal(t, before+1, requests.Load())
	}
	before := requests.Load()
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0"} {
		for _, scheme := range []string{"http", "https"} {
			made := post(t, NewSender(SenderOptions{}), scheme+"://"+host+":"+port+"/")
			require.Contains(t, []string{notAllowed, hostNotFound, notConnected}, made.failure, host)
			require.Nil(t, made.status, host)
		}
	}
	require.Equal(t, before, requests.Load())
}

func TestRedirectsAndProxiesAreNotFollowed(t *testing.T) {
	aim, reached := counting(t, nil)
	server, _ := counting(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, aim.URL, http.StatusTemporaryRedirect)
	})
	t.Setenv("HTTP_PROXY", aim.URL)
	t.Setenv("http_proxy", aim.URL)
	made := post(t, NewSender(SenderOptions{Allow: []netip.Prefix{loopback}}), server.URL)
	require.Equal(t, redirect, made.failure)
	require.EqualValues(t, http.StatusTemporaryRedirect, *made.status)
	require.Zero(t, reached.Load())
}

func TestOnlyTrustedCertificatesAreTaken(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.StartTLS()
	t.Cleanup(server.Close)
	allow := []netip.Prefix{loopback}
	made := post(t, NewSender(SenderOptions{Allow: allow}), server.URL)
	require.Equal(t, notTrusted, made.failure)
	require.Contains(t, *made.explanation, "unknown authority")
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	trusting := NewSender(SenderOptions{Allow: allow, RootCAs: roots, Resolver: resolving(t, "127.0.0.1")})
	made = post(t, trusting, server.URL)
	require.Empty(t, made.failure)
	require.Nil(t, made.explanation)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	made = post(t, trusting, "https://hooks.invalid:"+port+"/?key=secret")
	require.Equal(t, notTrusted, made.failure)
	require.Contains(t, *made.explanation, "not hooks.invalid")
	require.NotContains(t, *made.explanation, "secret")
	plain, _ := counting(t, nil)
	made = post(t, trusting, strings.Replace(plain.URL, "http:", "https:", 1))
	require.Equal(t, notTrusted, made.failure)
	require.Contains(t, *made.explanation, "TLS")
}

// TestTLSThatDoesNotComeAbout is told from a connection that does not.
func TestTLSThatDoesNotComeAbout(t *testing.T) {
	t.Parallel()
	for explanation, config := range map[string]*tls.Config{
		"protocol version":     {MaxVersion: tls.VersionTLS11},
		"certificate required": {ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13},
		"handshake failure":    {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
	} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
		server.TLS = config
		server.StartTLS()
		t.Cleanup(server.Close)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		made := post(t, NewSender(SenderOptions{Allow: []netip.Prefix{loopback}, RootCAs: roots}), server.URL)
		require.Equal(t, notTrusted, made.failure, explanation)
		require.Contains(t, *made.explanation, explanation)
	}
}

// TestWordsOfCertificates are the receiver's: they are bounded, and such as a database takes.
func TestWordsOfCertificates(t *testing.T) {
	t.Parallel()
	said := &tls.CertificateVerificationError{Err: errors.New("x509: \x00\xff" + strings.Repeat("ż", 5000))}
	made := unanswered(time.Now(), said)
	require.Equal(t, notTrusted, made.failure)
	require.True(t, utf8.ValidString(*made.explanation))
	require.NotContains(t, *made.explanation, "\x00")
	require.Contains(t, *made.explanation, "x509: ")
	require.LessOrEqual(t, utf8.RuneCountInString(*made.explanation), maxExplanation+1)
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	allow := SenderOptions{Allow: []netip.Prefix{loopback}}
	long, _ := counting(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, strings.Repeat("é", 3<<20)) // its last character is cut in two
	})
	made := post(t, NewSender(allow), long.URL)
	require.Equal(t, noSuccess, made.failure)
	require.Equal(t, strings.Repeat("é", maxAnswer/2), *made.answer)
	headers, _ := counting(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
	})
	require.Equal(t, notConnected, post(t, NewSender(allow), headers.URL).failure)
	odd, _ := counting(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a\x00b\xffc\xc3") })
	require.Equal(t, "abc", *post(t, NewSender(allow), odd.URL).answer)
}

// TestAnswersThatAreNone: a receiver cannot hold the one that asks by an answer that is none.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(connection)); err != nil {
				continue
			}
			_, _ = io.WriteString(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		}
	}()
	made := post(t, NewSender(SenderOptions{Allow: []netip.Prefix{loopback}}), "http://"+listener.Addr().String())
	require.Equal(t, noSuccess, made.failure)
	require.EqualValues(t, 101, *made.status)
}

// TestReceiversThatDoNotAnswer: they are given up in time, and the end of the program is theirs too.
func TestReceiversThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	silent, _ := counting(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	sender := NewSender(SenderOptions{Allow: []netip.Prefix{loopback}})
	sender.plain.Timeout = 50 * time.Millisecond
	made := post(t, sender, silent.URL)
	require.Equal(t, timedOut, made.failure)
	require.Equal(t, "there was no answer in time", *made.explanation)
	sender.plain.Timeout = wholeTime
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := sender.send(ctx, message{url: silent.URL, body: []byte("{}")})
	require.ErrorIs(t, err, context.Canceled, "that is not the receiver's fault")

	// The system gives port 1 to nobody.
	made = post(t, sender, "http://127.0.0.1:1/?key=secret")
	require.Equal(t, notConnected, made.failure)
	require.Equal(t, "the connection was refused", *made.explanation)
	unknown := NewSender(SenderOptions{Allow: []netip.Prefix{loopback}, Resolver: &net.Resolver{
		PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed },
	}})
	require.Equal(t, hostNotFound, post(t, unknown, "https://hooks.example.com/").failure)
}
