package messages_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/clientele-api/clientele/internal/mail"
	"github.com/clientele-api/clientele/internal/messages"
)

var (
	kinds   = []messages.Kind{messages.Activation, messages.PasswordReset}
	locales = []messages.Locale{messages.English, messages.Polish}
	data    = messages.Data{Customer: "Łukasz Żak", Company: "Żak & Syn", Recipient: "Ada Lovelace", Hours: 72}
)

func load(t *testing.T, directory string) *messages.Texts {
	t.Helper()
	texts, err := messages.Load(directory)
	require.NoError(t, err)
	return texts
}

// folder makes a directory with files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	directory := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600))
	}
	return directory
}

func TestBuiltInTexts(t *testing.T) {
	t.Parallel()
	texts := load(t, "")
	subjects := map[string]bool{}
	for _, kind := range kinds {
		for _, locale := range locales {
			subject, body, err := texts.Render(kind, locale, data)
			require.NoError(t, err)
			subjects[subject] = true
			require.Equal(t, 1, strings.Count(body, "\n\n{{link}}\n\n"), "the link stands alone:\n%s", body)
			require.Contains(t, body, "Łukasz Żak")
			require.Contains(t, body, "(Żak & Syn)", "nothing is escaped")
			require.Contains(t, body, map[messages.Locale]string{"en": "72 hours", "pl": "72 godziny"}[locale])
			require.NotContains(t, body, "<no value>")

			_, body, err = texts.Render(kind, locale, messages.Data{Hours: 1})
			require.NoError(t, err)
			require.NotContains(t, body, "()")
			require.NotContains(t, body, "„”")
			require.NotContains(t, body, "“”")
			require.NotContains(t, body, "  ")
			require.NotContains(t, body, " ,")

			_, body, err = texts.Render(kind, locale, messages.Data{Customer: "Acme", Company: "Acme", Hours: 1})
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(body, "Acme"), "a company is not named twice")
		}
	}
	require.Len(t, subjects, len(kinds)*len(locales), "each text has a subject of its own")
}

// TestBuiltInTextsFitIntoLinks: a mailto link without its body would be of little use.
func TestBuiltInTextsFitIntoLinks(t *testing.T) {
	t.Parallel()
	texts := load(t, "")
	for _, kind := range kinds {
		for _, locale := range locales {
			subject, body, err := texts.Render(kind, locale, data)
			require.NoError(t, err)
			link := "https://customers.example.com/activate#token=" + strings.Repeat("x", 60)
			url := mail.MailtoURL(mail.Message{
				To: mail.Address{Address: "ada.lovelace@analytical.example.com"}, Subject: subject,
				Body: strings.ReplaceAll(body, messages.Link, link),
			})
			require.Contains(t, url, "&body=", "%s %s", kind, locale)
		}
	}
}

func TestOtherLocalesGetEnglish(t *testing.T) {
	t.Parallel()
	texts := load(t, "")
	english, _, err := texts.Render(messages.Activation, messages.English, data)
	require.NoError(t, err)
	for _, locale := range []messages.Locale{"", "de", "PL", "../en"} {
		subject, _, err := texts.Render(messages.Activation, locale, data)
		require.NoError(t, err)
		require.Equal(t, english, subject, locale)
	}
	_, _, err = texts.Render("farewell", messages.English, data)
	require.ErrorContains(t, err, "farewell.en.txt")
}

func TestHoursInWords(t *testing.T) {
	t.Parallel()
	directory := folder(t, map[string]string{
		"activation.pl.txt": "Subject: {{.Hours}}\n\n{{link}} {{hours}}",
		"activation.en.txt": "Subject: x\n\n{{link}} {{hours}}",
	})
	texts := load(t, directory)
	for hours, words := range map[int][2]string{
		1: {"1 godzinę", "1 hour"}, 2: {"2 godziny", "2 hours"}, 5: {"5 godzin", "5 hours"}, 12: {"12 godzin", "12 hours"},
		14: {"14 godzin", "14 hours"}, 21: {"21 godzin", "21 hours"}, 22: {"22 godziny", "22 hours"},
		24: {"24 godziny", "24 hours"}, 48: {"48 godzin", "48 hours"}, 72: {"72 godziny", "72 hours"},
		112: {"112 godzin", "112 hours"}, 0: {"0 godzin", "0 hours"},
	} {
		for i, locale := range []messages.Locale{messages.Polish, messages.English} {
			_, body, err := texts.Render(messages.Activation, locale, messages.Data{Hours: hours})
			require.NoError(t, err)
			require.Equal(t, "{{link}} "+words[i], body)
		}
	}
}

func TestOperatorsTexts(t *testing.T) {
	t.Parallel()
	directory := folder(t, map[string]string{
		"activation.en.txt": "\uFEFFSubject:  Welcome, {{.Recipient}} \r\n\r\nOpen {{link}}\r\nor {{link}}.\r\n\r\n",
		"README":            "not a text",
		".hidden.txt":       "nor this",
	})
	texts := load(t, directory)
	subject, body, err := texts.Render(messages.Activation, messages.English, data)
	require.NoError(t, err)
	require.Equal(t, "Welcome, Ada Lovelace", subject)
	require.Equal(t, "Open {{link}}\nor {{link}}.", body)

	for _, text := range []struct {
		kind   messages.Kind
		locale messages.Locale
	}{{messages.Activation, messages.Polish}, {messages.PasswordReset, messages.English}} {
		subject, body, err = texts.Render(text.kind, text.locale, data)
		require.NoError(t, err)
		wantSubject, wantBody, err := load(t, "").Render(text.kind, text.locale, data)
		require.NoError(t, err)
		require.Equal(t, [2]string{wantSubject, wantBody}, [2]string{subject, body}, "what is not replaced is built in")
	}
}

func TestTextsThatAreWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, content, about string }{
		"not a template":            {"activation.pl.txt", "Subject: x\n\n{{link}", "activation.pl.txt:3"},
		"an unknown value":          {"activation.en.txt", "Subject: x\n\n{{link}} {{.Password}}", "Password"},
		"an unknown function":       {"activation.en.txt", "Subject: x\n\n{{link}} {{url}}", "url"},
		"no link":                   {"password-reset.en.txt", "Subject: x\n\nHello", "must have {{link}} in the body"},
		"a link for some only":      {"password-reset.en.txt", "Subject: x\n\n{{if .Company}}{{link}}{{end}}", "must have {{link}}"},
		"a link in the subject":     {"password-reset.en.txt", "Subject: {{link}}\n\n{{link}}", "subject"},
		"no subject":                {"password-reset.pl.txt", "Hello\n\n{{link}}", "Subject: …"},
		"an empty subject":          {"password-reset.pl.txt", "Subject:  \n\n{{link}}", "Subject: …"},
		"a subject for some only":   {"password-reset.pl.txt", "Subject: {{.Company}}\n\n{{link}}", "Subject: …"},
		"no blank line":             {"password-reset.pl.txt", "Subject: x\n{{link}}\n\nmore", "blank line"},
		"a tab in the subject":      {"password-reset.pl.txt", "Subject: x\ty\n\n{{link}}", "control characters"},
		"nothing":                   {"activation.en.txt", "", "Subject: …"},
		"another encoding":          {"activation.pl.txt", "Subject: Has\xb3o\n\n{{link}}", "UTF-8"},
		"a name that is not known":  {"activaton.en.txt", "Subject: x\n\n{{link}}", "none that is known"},
		"a language not known":      {"activation.de.txt", "Subject: x\n\n{{link}}", "none that is known"},
		"a template without an end": {"activation.en.txt", "Subject: x\n\n{{if .Company}}{{link}}", "activation.en.txt"},
	} {
		_, err := messages.Load(folder(t, map[string]string{test.file: test.content}))
		require.ErrorContains(t, err, test.about, name)
		require.ErrorContains(t, err, test.file, name)
	}

	_, err := messages.Load(folder(t, map[string]string{"activation.en.txt": "", "activation.pl.txt": "{{", "x.txt": ""}))
	for _, name := range []string{"activation.en.txt", "activation.pl.txt", "x.txt"} {
		require.ErrorContains(t, err, name, "all that is wrong is told at once")
	}
	_, err = messages.Load(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	directory := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(directory, "activation.en.txt"), 0o700))
	_, err = messages.Load(directory)
	require.ErrorContains(t, err, "activation.en.txt")
}

// TestValuesStayValues: a name may be anything that a customer writes.
func TestValuesStayValues(t *testing.T) {
	t.Parallel()
	texts := load(t, folder(t, map[string]string{
		"activation.en.txt": "Subject: {{.Customer}}{{.Company}}{{.Recipient}}!\n\n" +
			"{{.Customer}}{{.Company}}{{.Recipient}} {{link}}",
	}))
	for name, hostile := range map[string]messages.Data{
		"the placeholder":      {Customer: "{{link}}", Company: "{{link}}", Recipient: "{{link}}"},
		"in parts":             {Customer: "{", Company: "{li", Recipient: "nk}}"},
		"nested":               {Customer: "{{{{link}}}}", Company: "{{{link}}}"},
		"an action":            {Customer: "{{.Hours}}", Company: `{{define "x"}}`},
		"new lines":            {Customer: "a\r\n\r\nSubject: b\n\nc", Company: "\u2028d\u0085e\x00", Recipient: "\n"},
		"broken UTF-8":         {Customer: "a\xff{\xff{link}}"},
		"zero width in braces": {Customer: "{\u200b{link}}"},
	} {
		subject, body, err := texts.Render(messages.Activation, messages.English, hostile)
		require.NoError(t, err, name)
		require.NotContains(t, subject, "{", name)
		require.NotRegexp(t, `[\r\n\x00\x{2028}\x{85}]`, subject, name)
		require.Equal(t, 1, strings.Count(body, messages.Link), name)
		require.True(t, strings.HasSuffix(body, " {{link}}"), name)
		require.Equal(t, strings.TrimSuffix(subject, "!")+" {{link}}", body, name)
	}
}
