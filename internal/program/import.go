package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/background"
	"github.com/clientele-api/clientele/internal/blobs"
	"github.com/clientele-api/clientele/internal/bulk"
	"github.com/clientele-api/clientele/internal/config"
	"github.com/clientele-api/clientele/internal/contract"
	"github.com/clientele-api/clientele/internal/csvfile"
	"github.com/clientele-api/clientele/internal/etag"
	"github.com/clientele-api/clientele/internal/exports"
	"github.com/clientele-api/clientele/internal/imports"
	"github.com/clientele-api/clientele/internal/messages"
	"github.com/clientele-api/clientele/internal/operations"
	"github.com/clientele-api/clientele/internal/postgres"
)

// importing is what the command import was asked for.
type importing struct {
	what        string // customers or domains
	file        string // "-" for the standard input
	contentType string
	encoding    string
	customer    *uuid.UUID
	dryRun      bool
	refused     string // where refused rows are written to; "" for nowhere
	settings    imports.Settings
}

// mapped is a flag that is given once for each column.
type mapped map[string]string

func (m mapped) String() string { return "" }

// Set takes header=field. A header may hold an equals sign, a field does not.
func (m mapped) Set(text string) error {
	at := strings.LastIndexByte(text, '=')
	if at < 1 || at == len(text)-1 {
		return errors.New("must be header=field")
	}
	m[text[:at]] = text[at+1:]
	return nil
}

// delimiters are the characters between cells by what the flag calls them.
var delimiters = map[string]string{"": "", "comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}

// readImport reads what the command is asked for, from its arguments after "import customers" or "import domains".
func readImport(env Environment, what string, args []string) (importing, config.Config, error) {
	asked := importing{what: what, settings: imports.Settings{Map: map[string]string{}}}
	flags := newFlags("import " + what)
	customer := flags.String("customer", "", "id of the customer that the domains belong to")
	flags.BoolVar(&asked.dryRun, "dry-run", false, "only say what would happen")
	flags.BoolVar(&asked.settings.Atomic, "atomic", false, "write all rows or none")
	onConflict := flags.String("on-conflict", string(bulk.Fail), "fail, skip or update, for what is there already")
	columns := flags.String("columns", "", "names of the columns of a file without a line of headers, with commas between")
	delimiter := flags.String("delimiter", "", "comma, semicolon, tab or pipe (default as the file shows)")
	flags.StringVar(&asked.encoding, "encoding", "", "such as utf-8 or windows-1250 (default as the file shows)")
	format := flags.String("format", "", "csv or ndjson (default by the ending of the file)")
	flags.StringVar(&asked.refused, "refused", "", "file to write refused rows to, as CSV")
	flags.Var(mapped(asked.settings.Map), "map", "header=field for a column with a name of its own; may be repeated")

	switch last := len(args) - 1; {
	case last >= 0 && (args[0] == "-" || !strings.HasPrefix(args[0], "-")):
		asked.file, args = args[0], args[1:]
	case last > 0 && !strings.HasPrefix(args[last], "-"):
		asked.file, args = args[last], args[:last]
	}
	settings, err := load(env, flags, args)
	if err != nil {
		return asked, settings, err
	}
	asked.settings.OnConflict = bulk.OnConflict(*onConflict)
	asked.settings.Delimiter = delimiters[*delimiter]
	if *columns != "" {
		if asked.settings.Columns, err = imports.ParseColumns(*columns); err != nil {
			return asked, settings, &config.Error{Problems: []string{"--columns " + err.Error()}}
		}
	}
	asked.contentType = "text/csv"
	if cmp.Or(*format, strings.TrimPrefix(strings.ToLower(filepath.Ext(asked.file)), ".")) == "ndjson" {
		asked.contentType = "application/x-ndjson"
	}
	return asked, settings, asked.check(*customer, *delimiter, *format)
}

// check gives all that is wrong with what was asked for.
func (i *importing) check(customer, delimiter, format string) error {
	var problems []string
	add := func(wrong bool, problem string) {
		if wrong {
			problems = append(problems, problem)
		}
	}
	add(i.file == "", "name the file to import, or - for the standard input")
	if i.what == "domains" {
		id, err := uuid.Parse(customer)
		add(err != nil, "--customer must be the id of a customer")
		i.customer = &id
	}
	add(i.what != "domains" && customer != "", "--customer is for domains")
	_, known := delimiters[delimiter]
	add(!known, "--delimiter must be comma, semicolon, tab or pipe")
	add(!slices.Contains([]string{"", "csv", "ndjson"}, format), "--format must be csv or ndjson")
	add(i.encoding != "" && csvfile.CheckEncoding(i.encoding) != nil, "--encoding must be one of "+strings.Join(csvfile.Encodings(), ", "))
	add(!slices.Contains([]bulk.OnConflict{bulk.Fail, bulk.Skip, bulk.Update}, i.settings.OnConflict),
		"--on-conflict must be fail, skip or update")
	if len(problems) > 0 {
		return &config.Error{Problems: problems}
	}
	return nil
}

// importFile imports a file, in this process and together with a server that may be running.
func importFile(ctx context.Context, env Environment, what string, args []string) error {
	asked, settings, err := readImport(env, what, args)
	if err != nil {
		return err
	}
	log := newLog(env, settings)
	return withDatabase(ctx, settings, log, func(database *postgres.DB, _ string) (err error) {
		store, err := openBlobs(ctx, database, settings)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		service, err := importService(ctx, database, settings, background.Options{DB: database, Blobs: store, Log: log})
		if err != nil {
			return err
		}
		operation, err := asked.start(ctx, env, database, store, service)
		if err != nil {
			return err
		}
		return asked.follow(ctx, env, database, service, operation)
	})
}

func importService(
	ctx context.Context, database *postgres.DB, settings config.Config, options background.Options,
) (service *operations.Service, err error) {
	if options.Keyring, err = openKeyring(ctx, database, settings); err != nil {
		return nil, err
	}
	if options.Texts, err = messages.Load(settings.TemplatesDir); err != nil {
		return nil, err
	}
	if options.Contract, err = contract.Load(openapi.Spec); err != nil {
		return nil, err
	}
	work, err := background.New(options)
	return work.Operations, err
}

// start receives the file and begins the operation.
func (i *importing) start(
	ctx context.Context, env Environment, database *postgres.DB, store *blobs.Store, service *operations.Service,
) (started db.Operation, err error) {
	input := operations.Input{Kind: operations.CustomerImport, CustomerID: i.customer, DryRun: i.dryRun}
	if i.customer != nil {
		input.Kind = operations.DomainImport
		if _, err := db.New().CustomerFind(ctx, database, *i.customer, nil); err != nil {
			return started, fmt.Errorf("there is no customer %s", *i.customer)
		}
	}
	content := io.Reader(env.Stdin)
	if i.file != "-" {
		file, err := os.Open(i.file)
		if err != nil {
			return started, fmt.Errorf("opening the file: %w", err)
		}
		defer file.Close()
		content = file
	}
	received, err := imports.Receive(ctx, store, imports.Source{Content: content, ContentType: i.contentType, Encoding: i.encoding})
	if err != nil {
		return started, err
	}
	i.settings.Format = received.Format
	if err := i.settings.Check(); err != nil {
		return started, err
	}
	input.Settings, input.SpoolKey, input.BytesTotal = i.settings, &received.Key, &received.Size
	err = database.Change(ctx, commandLine, func(tx *postgres.Tx) (err error) {
		started, err = service.Start(ctx, tx, input)
		return err
	})
	return started, err
}

// follow does the operation to its end, and tells how far it is and what became of it. Who breaks it off cancels it.
func (i *importing) follow(
	ctx context.Context, env Environment, database *postgres.DB, service *operations.Service, operation db.Operation,
) error {
	bar := newBar(env, *operation.BytesTotal)
	done, err := service.Run(ctx, operation.ID, func(now db.Operation) {
		bar.Describe(fmt.Sprintf("%d rows", now.RowsRead))
		_ = bar.Set64(now.BytesRead) // what is shown is not worth an error
	})
	_ = bar.Exit()
	if ctx.Err() != nil {
		return i.cancel(env, database, service, operation.ID)
	}
	if err != nil {
		return err
	}
	if err := i.tell(ctx, env, database, done); err != nil {
		return err
	}
	switch {
	case done.FailureMessage != nil:
		return errors.New(*done.FailureMessage)
	case done.State == operations.Cancelled:
		return errors.New("the import was cancelled")
	case done.RowsRefused == 1:
		return errors.New("a row was refused")
	case done.RowsRefused > 1:
		return fmt.Errorf("%d rows were refused", done.RowsRefused)
	}
	return nil
}

// newBar makes a progress bar on a terminal, and an invisible one elsewhere.
func newBar(env Environment, bytes int64) *progressbar.ProgressBar {
	file, isFile := env.Stderr.(*os.File)
	visible := isFile && term.IsTerminal(int(file.Fd()))
	return progressbar.NewOptions64(bytes, progressbar.OptionSetWriter(env.Stderr), progressbar.OptionSetVisibility(visible),
		progressbar.OptionShowBytes(true), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
}

func (i *importing) cancel(env Environment, database *postgres.DB, service *operations.Service, id uuid.UUID) error {
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	var ended db.Operation
	err := database.Change(ctx, commandLine, func(tx *postgres.Tx) (err error) {
		ended, err = service.Cancel(ctx, tx, &access.Principal{Scopes: access.Scopes()}, id, etag.Versions{})
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(env.Stdout, i.summary(ended))
	return errors.New("the import was broken off; what it had written stays")
}

// shownRefusals is how many refused rows are told one by one.
const shownRefusals = 20

// tell says what became of the rows.
func (i *importing) tell(ctx context.Context, env Environment, database *postgres.DB, done db.Operation) error {
	fmt.Fprintln(env.Stdout, i.summary(done))
	refusals, last, err := operations.Refusals(ctx, database, done.ID, 0, shownRefusals)
	if err != nil {
		return err
	}
	for _, refusal := range refusals {
		for _, fault := range refusal.Faults {
			fmt.Fprintf(env.Stdout, "  row %d: %s\n", *refusal.Row, strings.TrimSpace(fault.Column+" "+fault.Message))
		}
	}
	if more := done.RowsRefused - last; last > 0 && more > 0 {
		fmt.Fprintf(env.Stdout, "  and %d more\n", more)
	}
	if i.refused == "" || done.RowsRefused == 0 {
		return nil
	}
	return i.writeRefused(ctx, env, database, done)
}

func (i *importing) summary(done db.Operation) string {
	begin := "Imported"
	if i.dryRun {
		begin = "Looked through"
	}
	return fmt.Sprintf("%s %s: %d rows, %d created, %d updated, %d skipped, %d refused.", begin, i.file, done.RowsRead,
		done.RowsCreated, done.RowsUpdated, done.RowsSkipped, done.RowsRefused)
}

// writeRefused writes the refused rows to a file, to be mended and imported again.
func (i *importing) writeRefused(ctx context.Context, env Environment, database *postgres.DB, done db.Operation) (err error) {
	file, err := os.Create(i.refused)
	if err != nil {
		return fmt.Errorf("writing the refused rows: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	format := exports.CSV(operations.Table(done), true)
	if err := operations.WriteRefusals(ctx, database, done.ID, file, format); err != nil {
		return fmt.Errorf("writing the refused rows: %w", err)
	}
	_, err = fmt.Fprintf(env.Stdout, "The refused rows are in %s.\n", i.refused)
	return err
}
