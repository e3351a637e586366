package csvfile_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/clientele-api/clientele/internal/csvfile"
)

const benchRows = 100_000

func plainRows(quote string) []byte {
	var text bytes.Buffer
	for i := range benchRows {
		_, _ = fmt.Fprintf(&text, "%[2]sCustomer %[1]d%[2]s,%[2]scustomer%[1]d@example.com%[2]s,%[2]s+48 22 555 %[1]d%[2]s,%[2]sŁódź%[2]s,%[2]sactive%[2]s\r\n", i, quote)
	}
	return text.Bytes()
}

// BenchmarkReader reads rows beside encoding/csv, which stands for what can be had without it.
func BenchmarkReader(b *testing.B) {
	for name, quote := range map[string]string{"plain": "", "quoted": `"`} {
		text := plainRows(quote)
		b.Run(name+"/csvfile", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := csvfile.NewReader(bytes.NewReader(text), ',', 0, 1)
				for {
					if _, err := r.Read(); errors.Is(err, io.EOF) {
						break
					}
				}
			}
			b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
		b.Run(name+"/encoding-csv", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := csv.NewReader(bytes.NewReader(text))
				r.ReuseRecord = true
				for {
					if _, err := r.Read(); errors.Is(err, io.EOF) {
						break
					}
				}
			}
			b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkDecoder(b *testing.B) {
	text := plainRows("")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		_, _ = io.Copy(io.Discard, csvfile.NewDecoder(bytes.NewReader(text), ""))
	}
}
