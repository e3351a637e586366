package postgres

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Each reads rows one after another as the database sends them, all into the same struct, and lets something be done with
// each: the row, and what it points to, is good until that returns. It has one row in memory, however many there are:
// while a row is dealt with, the database waits. An error of what is done ends the reading, and the connection with it
// where rows are left.
//
// The database has to be a transaction that sees one moment.
func Each[T any](ctx context.Context, db Querier, query Select, row *T, do func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	query.start()
	if query.Where.searching {
		var err error
		if query, _, err = query.narrow(ctx, db); err != nil {
			cancel()
			return err
		}
	}
	rows, err := db.Query(ctx, query.sql(), query.Where.Args()...)
	if err != nil {
		cancel()
		return fmt.Errorf("reading rows: %w", err)
	}
	defer rows.Close()
	defer cancel() // before the rows are closed, which would read what is left of them
	return each(rows, row, do)
}

func each[T any](rows pgx.Rows, row *T, do func() error) error {
	var targets []target
	for rows.Next() {
		if targets == nil {
			var err error
			if targets, err = targetsIn(row, rows.FieldDescriptions(), rows.Conn().TypeMap()); err != nil {
				return fmt.Errorf("reading rows: %w", err)
			}
		}
		for i, value := range rows.RawValues() {
			if err := targets[i].scan(value); err != nil {
				return fmt.Errorf("reading %s: %w", rows.FieldDescriptions()[i].Name, err)
			}
		}
		if err := do(); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading rows: %w", err)
	}
	return nil
}

// target is the field that a column is read into. What a pointer points to is kept and serves row after row, as the
// struct does: it is not worth making anew for each.
type target struct {
	plan    pgtype.ScanPlan
	into    any           // a pointer to the field; where it is a pointer itself, the same as kept
	pointer reflect.Value // the field, where it is a pointer
	kept    reflect.Value // what it is when it is not nil
}

func (t *target) scan(value []byte) error {
	if t.pointer.IsValid() {
		if value == nil {
			t.pointer.SetZero()
			return nil
		}
		t.pointer.Set(t.kept)
	}
	return t.plan.Scan(value, t.into)
}

// targetsIn gives the fields that have the names of the columns, without regard to case and underscores.
func targetsIn(row any, columns []pgconn.FieldDescription, types *pgtype.Map) ([]target, error) {
	value := reflect.ValueOf(row).Elem()
	fields := map[string]reflect.Value{}
	for _, field := range reflect.VisibleFields(value.Type()) {
		if field.IsExported() && !field.Anonymous {
			fields[strings.ToLower(field.Name)] = value.FieldByIndex(field.Index)
		}
	}
	targets := make([]target, len(columns))
	for i, column := range columns {
		field, known := fields[strings.ToLower(strings.ReplaceAll(column.Name, "_", ""))]
		if !known {
			return nil, fmt.Errorf("%s has no field for the column %s", value.Type(), column.Name)
		}
		t := target{into: field.Addr().Interface()}
		if field.Kind() == reflect.Pointer {
			t.pointer, t.kept = field, reflect.New(field.Type().Elem())
			t.into = t.kept.Interface()
		}
		t.plan = types.PlanScan(column.DataTypeOID, column.Format, t.into)
		targets[i] = t
	}
	return targets, nil
}
