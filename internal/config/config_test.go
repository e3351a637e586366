package config_test

import (
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/config"
)

const secretKey = "a secret key that is only for tests"

// load reads settings from variables, named without their prefix, and arguments.
func load(variables map[string]string, args ...string) (config.Config, error) {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return config.Load(flags, args, func(name string) string {
		short, _ := strings.CutPrefix(name, config.Prefix)
		return variables[short]
	})
}

func problems(t *testing.T, err error) []string {
	t.Helper()
	var wrong *config.Error
	require.ErrorAs(t, err, &wrong)
	for _, problem := range wrong.Problems {
		require.Contains(t, err.Error(), problem)
	}
	return wrong.Problems
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	settings, err := load(nil)
	require.NoError(t, err)
	require.Equal(t, config.Config{
		Addr: "127.0.0.1:8080", DataDir: "./clientele-data", RateLimit: 6000, LogLevel: slog.LevelInfo,
	}, settings)
}

func TestSettingsAreRead(t *testing.T) {
	t.Parallel()
	settings, err := load(map[string]string{
		"ADDR": ":0", "METRICS_ADDR": "[::1]:9090", "PUBLIC_URL": "https://clientele.example.com/",
		"TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1,,2001:db8::/32",
		"DATABASE_URL":    "postgres://user:pass@one,two/clientele?pool_max_conns=5",
		"DATA_DIR":        "/var/lib/clientele", "SECRET_KEY": secretKey, "ADMIN_EMAIL": "ada@example.com",
		"BLOB_URL":       "s3://bucket?region=eu-central-1",
		"ADMIN_PASSWORD": "four words are better", "LOG_FORMAT": "text", "LOG_LEVEL": "debug",
		"SMTP_URL": "smtp://ada:pass@mail.example.com:587", "MAIL_FROM": "Clientele <mail@example.com>",
		"TEMPLATES_DIR": "/etc/clientele/texts", "RATE_LIMIT": "0", "WEBHOOK_ALLOW": "10.20.0.0/16, fd00::1",
	}, "--addr", "127.0.0.1:9000", "--log-format=json")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:9000", settings.Addr, "a flag wins over its variable")
	require.Equal(t, "json", settings.LogFormat)
	require.Equal(t, "https://clientele.example.com", settings.PublicURL, "paths are put behind it")
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32"),
	}, settings.TrustedProxies)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("fd00::1/128"),
	}, settings.WebhookAllow)
	require.Equal(t, slog.LevelDebug, settings.LogLevel)
	require.Equal(t, secretKey, settings.SecretKey)
	require.Equal(t, "smtp://ada:pass@mail.example.com:587", settings.SMTPURL)
	require.Equal(t, "Clientele <mail@example.com>", settings.MailFrom)
	require.Equal(t, "/etc/clientele/texts", settings.TemplatesDir)
	require.Equal(t, "s3://bucket?region=eu-central-1", settings.BlobURL)
	require.Zero(t, settings.RateLimit)
}

func TestAllProblemsAtOnceAndNoSecrets(t *testing.T) {
	t.Parallel()
	_, err := load(map[string]string{
		"ADDR": "8080", "METRICS_ADDR": "localhost:http", "PUBLIC_URL": "https://ada:hush-1@example.com",
		"TRUSTED_PROXIES": "10.0.0.0/40", "CORS_ORIGINS": "*",
		"DATABASE_URL": "postgres://ada:hush-2@host:port/db", "SECRET_KEY": "hush-3", "ADMIN_PASSWORD": "hush-4",
		"LOG_FORMAT": "xml", "LOG_LEVEL": "loud", "SMTP_URL": "smtp://ada:hush-5/@host:587", "MAIL_FROM": "ada at example.com",
		"BLOB_URL": "s3://hush-6@bucket", "RATE_LIMIT": "-1", "WEBHOOK_ALLOW": "localhost",
	}, "--data-dir", "")
	found := problems(t, err)
	for _, name := range []string{
		"ADDR", "METRICS_ADDR", "PUBLIC_URL", "TRUSTED_PROXIES", "CORS_ORIGINS", "DATABASE_URL", "DATA_DIR", "SECRET_KEY", "ADMIN_PASSWORD",
		"LOG_FORMAT", "LOG_LEVEL", "SMTP_URL", "MAIL_FROM", "BLOB_URL", "RATE_LIMIT", "WEBHOOK_ALLOW",
	} {
		require.Condition(t, func() bool {
			for _, problem := range found {
				if strings.HasPrefix(problem, config.Prefix+name+" ") {
					return true
				}
			}
			return false
		}, "%s is not among %q", name, found)
	}
	require.NotContains(t, err.Error(), "hush")
}

func TestSettingsThatAreWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		variables map[string]string
		args      []string
		about     string
	}{
		"no port":                    {map[string]string{"ADDR": "localhost"}, nil, "ADDR"},
		"a port too high":            {map[string]string{"ADDR": "localhost:65536"}, nil, "ADDR"},
		"a path for a URL":           {map[string]string{"PUBLIC_URL": "/clientele"}, nil, "PUBLIC_URL"},
		"another scheme":             {map[string]string{"PUBLIC_URL": "ftp://example.com"}, nil, "PUBLIC_URL"},
		"a URL with a path":          {map[string]string{"PUBLIC_URL": "https://example.com/clientele"}, nil, "PUBLIC_URL"},
		"a URL with two slashes":     {map[string]string{"PUBLIC_URL": "https://example.com//"}, nil, "PUBLIC_URL"},
		"a query":                    {map[string]string{"PUBLIC_URL": "https://example.com?a=b"}, nil, "PUBLIC_URL"},
		"a name for a network":       {map[string]string{"TRUSTED_PROXIES": "proxy.example.com"}, nil, "TRUSTED_PROXIES"},
		"database without a secret":  {map[string]string{"DATABASE_URL": "postgres://localhost/clientele"}, nil, "SECRET_KEY"},
		"one secret key is short":    {map[string]string{"SECRET_KEY": secretKey + ",short"}, nil, "SECRET_KEY"},
		"email without a password":   {map[string]string{"ADMIN_EMAIL": "ada@example.com"}, nil, "ADMIN_PASSWORD"},
		"password without an email":  {map[string]string{"ADMIN_PASSWORD": "four words are better"}, nil, "ADMIN_EMAIL"},
		"an email that is none":      {map[string]string{"ADMIN_EMAIL": "ada", "ADMIN_PASSWORD": "four words are better"}, nil, "ADMIN_EMAIL"},
		"a password that is guessed": {map[string]string{"ADMIN_EMAIL": "ada@example.com", "ADMIN_PASSWORD": "password123"}, nil, "ADMIN_PASSWORD"},
		"mail from nobody":           {map[string]string{"SMTP_URL": "smtp://localhost"}, nil, "MAIL_FROM"},
		"mail from no address":       {map[string]string{"SMTP_URL": "smtp://localhost", "MAIL_FROM": "Ada"}, nil, "MAIL_FROM"},
		"a user without a password":  {map[string]string{"SMTP_URL": "smtp://ada@localhost", "MAIL_FROM": "a@example.com"}, nil, "SMTP_URL"},
		"mail over the web":          {map[string]string{"SMTP_URL": "https://localhost", "MAIL_FROM": "a@example.com"}, nil, "SMTP_URL"},
		"blobs of another scheme":    {map[string]string{"BLOB_URL": "https://example.com/bucket"}, nil, "BLOB_URL"},
		"an argument too many":       {nil, []string{"--addr", ":0", "extra"}, "extra"},
		"a flag emptied":             {nil, []string{"--data-dir="}, "DATA_DIR"},
	} {
		_, err := load(test.variables, test.args...)
		found := problems(t, err)
		require.Len(t, found, 1, name)
		require.Contains(t, found[0], test.about, name)
	}
	_, err := load(nil, "--no-such-flag")
	require.Error(t, err)
	_, err = load(nil, "--help")
	require.True(t, errors.Is(err, flag.ErrHelp))
}

// TestHelpShowsNoValues: what is set may be a secret.
func TestHelpShowsNoValues(t *testing.T) {
	t.Parallel()
	var help strings.Builder
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	flags.SetOutput(&help)
	_, err := config.Load(flags, []string{"--help"}, func(string) string { return "hush" })
	require.ErrorIs(t, err, flag.ErrHelp)
	require.NotContains(t, help.String(), "hush")
	for _, name := range []string{"database-url", "CLIENTELE_SECRET_KEY", "CLIENTELE_ADDR, default 127.0.0.1:8080"} {
		require.Contains(t, help.String(), name)
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	settings, err := load(map[string]string{
		"CORS_ORIGINS": "https://Portal.example.com, http://localhost:5173,,https://a.example:443,http://b.example:80," +
			"https://c.example:80,http://[::1]:8081,https://portal.example.com, https://xn--caf-dma.example",
	})
	require.NoError(t, err)
	require.Equal(t, []string{
		"https://portal.example.com", "http://localhost:5173", "https://a.example", "http://b.example", "https://c.example:80",
		"http://[::1]:8081", "https://xn--caf-dma.example",
	}, settings.CORSOrigins, "as browsers write them")

	for _, wrong := range []string{
		"*", "null", "https://*.example.com", "https://example.com/", "https://example.com/portal", "https://example.com?a=b",
		"https://example.com?", "https://example.com#", "https://ada@example.com", "example.com", "//example.com", "https://", "https://:80",
		"https://example.com:", "https://example.com:0", "https://example.com:65536", "https://example.com:x", "ftp://example.com",
		"https://exa mple.com", "https://example.com https://example.org", "https://café.example", "https://exa%6dple.com",
		"http://[::1", "https://a.example,*", "https://example.com:08x", "https://example.com:0443", "https://example.com:",
	} {
		_, err := load(map[string]string{"CORS_ORIGINS": wrong})
		require.Len(t, problems(t, err), 1, wrong)
		require.Contains(t, err.Error(), "CLIENTELE_CORS_ORIGINS must hold origins", wrong)
	}
}
