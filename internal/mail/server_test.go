package mail_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/mail"
)

func TestParseServer(t *testing.T) {
	t.Parallel()
	for text, address := range map[string]string{
		"smtp://ada:hush@mail.example.com:2525":  "mail.example.com:2525",
		"smtp://ada:hush@mail.example.com":       "mail.example.com:587",
		"smtp://ada%40example.com:h%2Fu%3Ash@h/": "h:587",
		"smtp://mail.example.com":                "mail.example.com:25",
		"smtp://localhost:1025?tls=off":          "localhost:1025",
		"smtps://ada:hush@mail.example.com":      "mail.example.com:465",
		"smtps://[2001:db8::1]:1465":             "[2001:db8::1]:1465",
		"smtp://poczta.łódź.example":             "poczta.xn--d-uga0v4h.example:25",
	} {
		server, err := mail.ParseServer(text)
		require.NoError(t, err, text)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
			require.Equal(t, address, fmt.Sprintf(verb, server), "however it is printed, without credentials")
			require.Equal(t, address, fmt.Sprintf(verb, &server))
		}
	}
	for name, text := range map[string]string{
		"nothing":                 "",
		"no scheme":               "mail.example.com:25",
		"another scheme":          "http://ada:hush@mail.example.com",
		"no host":                 "smtp://ada:hush@",
		"no host but a port":      "smtp://:25",
		"no password":             "smtp://ada@mail.example.com",
		"an empty password":       "smtp://ada:@mail.example.com",
		"no user":                 "smtp://:hush@mail.example.com",
		"a slash in the password": "smtp://ada:1/hush@mail.example.com",
		"a mark in the password":  "smtp://ada:1?hush@mail.example.com",
		"a hash in the password":  "smtp://ada:1#hush@mail.example.com",
		"a percent sign alone":    "smtp://ada:hush%@mail.example.com",
		"a line end":              "smtp://ada:hush%0A@mail.example.com",
		"a path":                  "smtp://mail.example.com/hush",
		"an unknown parameter":    "smtp://mail.example.com?hush=1",
		"tls=off twice":           "smtp://mail.example.com?tls=off&tls=off",
		"tls=off with a password": "smtp://ada:hush@mail.example.com?tls=off",
		"tls=off with smtps":      "smtps://mail.example.com?tls=off",
		"port 0":                  "smtp://mail.example.com:0",
		"a port too high":         "smtp://mail.example.com:65536",
		"a host that is none":     "smtp://ż_.example",
	} {
		_, err := mail.ParseServer(text)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "hush", name)
	}
}

func TestNewSender(t *testing.T) {
	t.Parallel()
	sender, err := mail.NewSender("smtp://ada:hush@mail.example.com", "Ada <ada@example.com>")
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		require.NotContains(t, fmt.Sprintf(verb, sender), "hush")
	}
	_, err = mail.NewSender("smtp://ada:hush@", "ada@example.com")
	require.ErrorContains(t, err, "host")
	_, err = mail.NewSender("smtp://localhost", "ada")
	require.ErrorContains(t, err, "email address")
}
