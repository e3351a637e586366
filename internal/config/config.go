// Package config reads the settings of the server, from environment variables and the flags of serve, and judges them
// all at once. It opens nothing and writes nothing; nothing else in the program reads the environment.
package config

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/email"
	"github.com/clientele-api/clientele/internal/mail"
	"github.com/clientele-api/clientele/internal/passwords"
	"github.com/clientele-api/clientele/internal/secrets"
)

// Config is all the settings, checked.
type Config struct {
	Addr           string         // listen address; port 0 picks a free one
	MetricsAddr    string         // "" for none
	PublicURL      string         // "" to derive it from the address that is listened on
	PortalURL      string         // "" for the built-in pages at the public URL
	CORSOrigins    []string       // of pages that may call from a browser, as browsers write them
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	DatabaseURL    string         // "" for the embedded server
	DataDir        string
	BlobURL        string // "" for the folder "blobs" in the data directory
	SecretKey      string // "" to use the generated one in the data directory
	RateLimit      int64  // requests a minute that each caller may make; 0 for no limit
	TermsRequired  bool   // whether customers' people must have accepted the current terms
	SMTPURL        string // "" for drafts only
	MailFrom       string
	TemplatesDir   string         // "" for the built-in texts of mails
	WebhookAllow   []netip.Prefix // networks that webhooks may go to although they are not public
	AdminEmail     string
	AdminPassword  string
	LogFormat      string // text, json, or "" to choose by whether it is a terminal
	LogLevel       slog.Level
}

// setting is one line of the table below: a variable, which is also a flag of serve.
type setting struct {
	name     string // of the variable, without the prefix
	fallback string
	usage    string
	read     func(*Config, string) error
}

// Prefix begins the name of every variable.
const Prefix = "CLIENTELE_"

// settings is the one table of settings.
var settings = []setting{
	{"ADDR", "127.0.0.1:8080", "listen address; port 0 picks a free one", func(c *Config, v string) error {
		c.Addr = v
		return checkAddr(v)
	}},
	{"METRICS_ADDR", "", "address of a listener of its own for /metrics (default off)", func(c *Config, v string) error {
		c.MetricsAddr = v
		if v == "" {
			return nil
		}
		return checkAddr(v)
	}},
	{"PUBLIC_URL", "", "URL that clients use; issuer of tokens (default from the address)", readPublicURL},
	{"PORTAL_URL", "", "where links in mails lead to (default built-in pages)", func(c *Config, v string) error {
		c.PortalURL = strings.TrimRight(v, "/")
		parsed, err := url.Parse(c.PortalURL)
		if v != "" && (err != nil || !isWeb(parsed) || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "") {
			return errors.New("must be an http or https URL without query, fragment or user")
		}
		return nil
	}},
	{"CORS_ORIGINS", "", "origins of portals that call from a browser, separated by commas (default none)", readCORSOrigins},
	{"TRUSTED_PROXIES", "", "networks whose X-Forwarded-For is believed, separated by commas", readTrustedProxies},
	{"DATABASE_URL", "", "PostgreSQL 15 or newer (default an embedded server)", func(c *Config, v string) error {
		c.DatabaseURL = v
		if _, err := pgxpool.ParseConfig(v); v != "" && err != nil {
			return errors.New("is not a PostgreSQL connection string") // the error's own text may hold the password
		}
		return nil
	}},
	{"DATA_DIR", "./clientele-data", "where the embedded database, files and generated secrets are", func(c *Config, v string) error {
		c.DataDir = v
		return checkSet(v)
	}},
	{"BLOB_URL", "", "file://, s3://, gs:// or azblob:// URL for files (default in the data directory)", func(c *Config, v string) error {
		c.BlobURL = v
		if v == "" {
			return nil
		}
		return blobs.CheckURL(v)
	}},
	{"SECRET_KEY", "", "encrypts keys and stored answers, 32 characters or more; \"new,old\" while rotating", readSecretKey},
	{"TERMS_REQUIRED", "false", "whether customers' people must accept the current terms first", func(c *Config, v string) error {
		c.TermsRequired = v == "true"
		if v != "true" && v != "false" {
			return errors.New("must be true or false")
		}
		return nil
	}},
	{"RATE_LIMIT", "6000", "requests a minute that each caller may make; 0 for no limit", func(c *Config, v string) (err error) {
		if c.RateLimit, err = strconv.ParseInt(v, 10, 32); err != nil || c.RateLimit < 0 {
			return errors.New("must be a whole number, 0 or more")
		}
		return nil
	}},
	{"SMTP_URL", "", "server that sends mail, smtp://user:password@host:587 (default drafts only)", readSMTPURL},
	{"MAIL_FROM", "", "sender of mails, \"Name <address>\" or an address", func(c *Config, v string) error {
		c.MailFrom = v
		if v == "" {
			return nil
		}
		_, err := mail.ParseAddress(v)
		return err
	}},
	{"TEMPLATES_DIR", "", "folder with texts of mails that replace the built-in ones", func(c *Config, v string) error {
		c.TemplatesDir = v
		return nil
	}},
	{"WEBHOOK_ALLOW", "", "networks that are not public and that webhooks may go to, separated by commas", func(c *Config, v string) (err error) {
		c.WebhookAllow, err = readNetworks(v)
		return err
	}},
	{"ADMIN_EMAIL", "", "the first administrator's email address", func(c *Config, v string) error {
		c.AdminEmail = v
		if v == "" {
			return nil
		}
		return email.Check(v)
	}},
	{"ADMIN_PASSWORD", "", "the first administrator's password", func(c *Config, v string) error {
		c.AdminPassword = v
		if v == "" {
			return nil
		}
		return passwords.Check(v)
	}},
	{"LOG_FORMAT", "", "text or json (default text on a terminal)", func(c *Config, v string) error {
		c.LogFormat = v
		if v != "" && v != "text" && v != "json" {
			return errors.New("must be text or json")
		}
		return nil
	}},
	{"LOG_LEVEL", "info", "debug, info, warn or error", func(c *Config, v string) error {
		if c.LogLevel.UnmarshalText([]byte(v)) != nil {
			return errors.New("must be debug, info, warn or error")
		}
		return nil
	}},
}

// Error is everything that is wrong with the settings.
type Error struct{ Problems []string }

// Error lists the problems, one a line.
func (e *Error) Error() string {
	return "this must be put right first:\n  " + strings.Join(e.Problems, "\n  ")
}

// Load reads the settings for a command, whose own flags are in the set already. Flags win over variables, variables
// over defaults.
func Load(flags *flag.FlagSet, args []string, getenv func(string) string) (Config, error) {
	config, err := LoadLeading(flags, args, getenv)
	if err == nil && flags.NArg() > 0 {
		err = &Error{Problems: []string{"there is an argument too many: " + flags.Arg(0)}}
	}
	return config, err
}

// LoadLeading is Load for arguments among which others may come after the flags. The set has these then.
func LoadLeading(flags *flag.FlagSet, args []string, getenv func(string) string) (Config, error) {
	values := make([]string, len(settings))
	for i, s := range settings {
		values[i] = s.fallback
		if value := getenv(Prefix + s.name); value != "" {
			values[i] = value
		}
		// The value of the variable is not shown as the default: it may be a secret.
		flags.Func(s.flag(), s.help(), func(value string) error {
			values[i] = value
			return nil
		})
	}
	config := Config{}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return config, err
	} else if err != nil {
		return config, &Error{Problems: []string{err.Error()}}
	}
	return config, config.readAll(values)
}

func (c *Config) readAll(values []string) error {
	var problems []string
	for i, s := range settings {
		if err := s.read(c, values[i]); err != nil {
			problems = append(problems, Prefix+s.name+" "+err.Error())
		}
	}
	if c.DatabaseURL != "" && c.SecretKey == "" {
		problems = append(problems, Prefix+"SECRET_KEY must be set together with "+Prefix+"DATABASE_URL")
	}
	if c.SMTPURL != "" && c.MailFrom == "" {
		problems = append(problems, Prefix+"MAIL_FROM must be set together with "+Prefix+"SMTP_URL")
	}
	if (c.AdminEmail == "") != (c.AdminPassword == "") {
		problems = append(problems, Prefix+"ADMIN_EMAIL and "+Prefix+"ADMIN_PASSWORD must be set together")
	}
	if len(problems) > 0 {
		return &Error{Problems: problems}
	}
	return nil
}

func (s setting) flag() string { return strings.ToLower(strings.ReplaceAll(s.name, "_", "-")) }

func (s setting) help() string {
	text := s.usage + " [" + Prefix + s.name
	if s.fallback != "" {
		text += ", default " + s.fallback
	}
	return text + "]"
}

func checkSet(value string) error {
	if value == "" {
		return errors.New("must not be empty")
	}
	return nil
}

func checkAddr(value string) error {
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return errors.New("must be host:port")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("must have a port between 0 and 65535")
	}
	return nil
}

func readPublicURL(c *Config, value string) error {
	c.PublicURL = strings.TrimSuffix(value, "/")
	if value == "" {
		return nil
	}
	parsed, err := url.Parse(c.PublicURL)
	if err != nil || !isWeb(parsed) || parsed.Path != "" || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" {
		return errors.New("must be an http or https URL without path, query, fragment or user")
	}
	return nil
}

func readSMTPURL(c *Config, value string) error {
	c.SMTPURL = value
	if value == "" {
		return nil
	}
	_, err := mail.ParseServer(value)
	return err
}

// isWeb tells whether a URL is of http or https, and has a host and no user.
func isWeb(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

func readCORSOrigins(c *Config, value string) error {
	for text := range strings.SplitSeq(value, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		origin, valid := originOf(text)
		if !valid {
			return fmt.Errorf("must hold origins such as https://portal.example.com, without a path, not %q", text)
		}
		if !slices.Contains(c.CORSOrigins, origin) {
			c.CORSOrigins = append(c.CORSOrigins, origin)
		}
	}
	return nil
}

// originHost is the host of an origin: a name in its ASCII form, or an address.
var originHost = regexp.MustCompile(`^([a-z0-9._-]+|\[[0-9a-f:.]+\])$`)

// originOf gives an origin as browsers write it: in small letters, without the port that its scheme has anyway.
func originOf(text string) (origin string, valid bool) {
	text = strings.ToLower(text)
	parsed, err := url.Parse(text)
	if err != nil || !isWeb(parsed) || text != parsed.Scheme+"://"+parsed.Host {
		return "", false
	}
	host, port := parsed.Host, parsed.Port()
	if port != "" {
		host = strings.TrimSuffix(host, ":"+port)
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 || port[0] == '0' {
			return "", false
		}
	}
	if port == map[string]string{"http": "80", "https": "443"}[parsed.Scheme] {
		port = ""
	}
	if port != "" {
		port = ":" + port
	}
	return parsed.Scheme + "://" + host + port, originHost.MatchString(host)
}

func readTrustedProxies(c *Config, value string) (err error) {
	c.TrustedProxies, err = readNetworks(value)
	return err
}

func readNetworks(value string) (networks []netip.Prefix, err error) {
	for text := range strings.SplitSeq(value, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, addressErr := netip.ParseAddr(text)
			if addressErr != nil {
				return nil, fmt.Errorf("must hold networks such as 10.0.0.0/8, not %q", text)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		networks = append(networks, prefix)
	}
	return networks, nil
}

func readSecretKey(c *Config, value string) error {
	c.SecretKey = value
	if value == "" {
		return nil
	}
	_, err := secrets.Parse(value)
	return err
}
