package csvfile_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"

	"github.com/clientele-api/clientele/internal/csvfile"
)

func decode(t *testing.T, from io.Reader, name string) (string, string) {
	t.Helper()
	d := csvfile.NewDecoder(from, name)
	text, err := io.ReadAll(d)
	require.NoError(t, err)
	return string(text), d.Encoding()
}

func encoded(t *testing.T, in encoding.Encoding, text string) []byte {
	t.Helper()
	raw, err := in.NewEncoder().Bytes([]byte(text))
	require.NoError(t, err)
	return raw
}

func wide(order binary.AppendByteOrder, text string) []byte {
	var raw []byte
	for _, c := range utf16.Encode([]rune(text)) {
		raw = order.AppendUint16(raw, c)
	}
	return raw
}

// central and western are rows as people have them. Twenty and fewer must be enough.
var central = map[string]string{
	"Polish": "Nazwa;Email;Telefon;Ulica\r\nJan Kowalski;jan@example.com;22 555 39 32;ul. Długa 7, Kraków\r\n" +
		"Małgorzata Wiśniewska;m.wisniewska@example.com;;Rynek 1, Wrocław\r\nŁukasz Wójcik;;;os. Słoneczne 3, Gdańsk\r\n" +
		"Zakład Usług \"Żuraw\";biuro@example.com;;Święty Marcin 12, Poznań\r\n",
	"Czech": "Jméno;Email;Město\r\nJiří Dvořák;jiri@example.com;Plzeň\r\nTereza Svobodová;tereza@example.com;České Budějovice\r\n" +
		"Lukáš Novák;lukas@example.com;Ústí nad Labem\r\nKateřina Černá;;Hradec Králové\r\n",
	"Slovak": "Meno;Mesto\r\nĽubomír Kováč;Košice\r\nZuzana Horváthová;Žilina\r\nJán Šťastný;Banská Bystrica\r\n",
	"Hungarian": "Név;Cím;Város\r\nKovács Erzsébet;Petőfi Sándor utca 4.;Győr\r\nSzűcs Gergő;Fő tér 2.;Székesfehérvár\r\n" +
		"Nagy Benedek;Kossuth út 11.;Budapest\r\nKőszegi Zoltánné;Árpád út 6.;Kecskemét\r\n",
	"Croatian": "Ime;Grad\r\nIvana Horvačić;Čakovec\r\nŽeljko Đurđević;Varaždin\r\nMarko Perković;Šibenik\r\nAna Kovačević;Osijek\r\n",
	"Romanian": "Nume;Oraş\r\nŞtefan Brătianu;Timişoara\r\nIonuţ Câmpeanu;Bucureşti\r\nMădălina Ţurcanu;Galaţi\r\n",
}

var western = map[string]string{
	"German": "Name;Ort\r\nJürgen Müller;Köln\r\nSöhnke Weiß;Überlingen\r\nBäckerei Groß GmbH;Düsseldorf – Süd\r\n",
	"French": "Nom;Adresse;Ville\r\nHélène Lefèvre;12, rue de l’Église;Orléans\r\nFrançois Gaudreau;3, allée des Chênes;Besançon\r\n" +
		"Société Générale d’Électricité;;Nîmes\r\n",
	"Spanish": "Nombre;Dirección;Ciudad\r\nJosé Ángel Muñoz;C/ Peñalver 3, 2º;Cádiz\r\nBegoña Ibáñez;Avda. de España 14;A Coruña\r\n" +
		"Construcciones Núñez, S.L.;;Málaga\r\n",
	"Portuguese": "Nome;Morada;Cidade\r\nJoão Conceição;Rua da Fundação, 3, 1.º;Évora\r\nInês Magalhães;Av. São João 12;Guimarães\r\n" +
		"Antônio Simões;;São Paulo\r\n",
	"Norwegian": "Navn;Adresse;Sted\r\nBjørn Håkonsen;Sjøgata 4;Tromsø\r\nÅse Sæbø;Kjærlighetsstien 1;Ålesund\r\n",
	"Swedish":   "Namn;Ort\r\nÅsa Lindström;Göteborg\r\nPär Sjöberg;Västerås\r\n",
	"Italian":   "Nome;Città\r\nNicolò Brigandì;Forlì\r\nBar Società Università;Cantù\r\nLuca Rossi;Roma\r\n",
	"Dutch":     "Naam;Plaats\r\nZoë Groenendaal;Appingedam\r\nJan de Vries;Hoorn\r\nRené Cliënt;Sint-Annaparochie\r\n",
	"English":   "Name,Fee\r\nThe Café,£12\r\nSmith & Sons,£9.50\r\nBrown’s,½ day – £40\r\n",
}

func TestCodePagesAreFound(t *testing.T) {
	t.Parallel()
	for page, c := range map[string]struct {
		encoding encoding.Encoding
		texts    map[string]string
	}{"windows-1250": {charmap.Windows1250, central}, "windows-1252": {charmap.Windows1252, western}} {
		for language, text := range c.texts {
			raw := encoded(t, c.encoding, text)
			decoded, found := decode(t, bytes.NewReader(raw), "")
			require.Equal(t, text, decoded, language)
			require.Equal(t, page, found, language)

			far := strings.Repeat("plain;text\r\n", 20_000)
			decoded, _ = decode(t, iotest.OneByteReader(strings.NewReader(far+string(raw))), "auto")
			require.Equal(t, far+text, decoded, "%s, far behind", language)

			decoded, found = decode(t, bytes.NewReader(raw), page)
			require.Equal(t, text, decoded, language)
			require.Equal(t, page, found)

			decoded, found = decode(t, strings.NewReader(text), "")
			require.Equal(t, text, decoded)
			require.Equal(t, "utf-8", found)
		}
	}
}

// TestGermanNamesTellNothing has many of them among few of another language, which decide.
func TestGermanNamesTellNothing(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("Jürgen Weiß;Köln\r\nKäthe Schönfeld;Lübeck\r\n", 20)
	for _, polish := range []string{"Łukasz Wiśniewski;Poznań\r\n", "Jerzy Gołąb;Łódź\r\n"} {
		decoded, _ := decode(t, bytes.NewReader(encoded(t, charmap.Windows1250, polish+text)), "")
		require.Equal(t, polish+text, decoded)
	}
	for _, other := range []string{"Bjørn Håkonsen;Tromsø\r\n", "Begoña Nuñez;A Coruña\r\n", "Hélène Crèvecœur;Orléans\r\n"} {
		decoded, _ := decode(t, bytes.NewReader(encoded(t, charmap.Windows1252, other+text)), "")
		require.Equal(t, other+text, decoded)
	}
}

// TestThePageIsFoundWhereItMatters has a German text first, whose letters are the same in both pages, and another language
// far behind.
func TestThePageIsFoundWhereItMatters(t *testing.T) {
	t.Parallel()
	german := strings.Repeat("Jürgen Weiß;Köln\r\n", 10_000)
	for page, c := range map[string]struct {
		encoding encoding.Encoding
		text     string
	}{
		"windows-1250": {charmap.Windows1250, central["Polish"]}, "windows-1252": {charmap.Windows1252, western["French"]},
	} {
		text := german + c.text
		decoded, found := decode(t, bytes.NewReader(encoded(t, c.encoding, text)), "")
		require.True(t, text == decoded, page)
		require.Equal(t, page, found)
	}
}

func TestUTF8(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("żółć", 20_000)
	for name, c := range map[string]struct{ raw, expected string }{
		"nothing":                       {"", ""},
		"a mark alone":                  {"\xef\xbb\xbf", ""},
		"a mark":                        {"\xef\xbb\xbfa;ł", "a;ł"},
		"one mark is taken off":         {"\xef\xbb\xbf\ufeffa", "\ufeffa"},
		"half a mark":                   {"\xef\xbb", "ï»"},
		"plain":                         {"a;b\r\n", "a;b\r\n"},
		"a character over the window":   {"x" + long, "x" + long},
		"over it, otherwise":            {"ab€" + long, "ab€" + long},
		"damaged far behind":            {long + "\xb3x", long + "\xb3x"},
		"damaged once among much else":  {"zażółć gęślą jaźń łąka \xb3 x", "zażółć gęślą jaźń łąka \xb3 x"},
		"cut at its end":                {"zażół\xc4", "zażół\xc4"},
		"U+FFFD stays":                  {"a\ufffd", "a\ufffd"},
		"marked, though it is not":      {"\xef\xbb\xbfa\xb3", "a\xb3"},
		"a page's character at the end": {"Jos\xe9", "José"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, from := range []io.Reader{strings.NewReader(c.raw), iotest.OneByteReader(strings.NewReader(c.raw)), iotest.DataErrReader(strings.NewReader(c.raw))} {
				decoded, _ := decode(t, from, "")
				require.True(t, c.expected == decoded, "%.100q", decoded)
			}
		})
	}
	decoded, found := decode(t, strings.NewReader("Jos\xe9"), "utf-8")
	require.Equal(t, "Jos\xe9", decoded)
	require.Equal(t, "utf-8", found)
}

func TestUTF16(t *testing.T) {
	t.Parallel()
	text := central["Polish"] + "😀;" + western["French"]
	for _, c := range []struct {
		order binary.AppendByteOrder
		name  string
	}{{binary.LittleEndian, "utf-16le"}, {binary.BigEndian, "utf-16be"}} {
		for _, length := range []int{1, 50, 10_000} {
			long := strings.Repeat(text, length)[:len("Nazwa;Em")+(length-1)*len(text)]
			raw := wide(c.order, long)
			marked := append(wide(c.order, "\ufeff"), raw...)
			if len(raw) > 1<<20 {
				raw, marked, long = raw[:2<<18], marked[:2<<18+2], string(utf16.Decode(utf16.Encode([]rune(long))[:1<<18]))
			}
			for _, name := range []string{"", "utf-16", c.name} {
				for _, from := range [][]byte{raw, marked} {
					decoded, found := decode(t, bytes.NewReader(from), name)
					require.True(t, long == decoded, "%s %.50q", name, decoded)
					require.Equal(t, c.name, found)
					decoded, _ = decode(t, iotest.HalfReader(iotest.DataErrReader(bytes.NewReader(from))), name)
					require.True(t, long == decoded)

					decoded, _ = decode(t, bytes.NewReader(append(bytes.Clone(from), 'x')), name)
					require.True(t, long+"\xff" == decoded, "half a character at the end")
				}
			}
		}
		for raw, expected := range map[string]string{
			"a\ufffdb": "a\ufffdb", "a😀": "a😀", "łą": "łą",
		} {
			decoded, _ := decode(t, bytes.NewReader(wide(c.order, raw)), c.name)
			require.Equal(t, expected, decoded)
		}
		var lone []byte
		for _, unit := range []uint16{'a', 0xd83d, 'b', 0xde00, 0xd83d, 0xd83d, 0xde00, 'c', 0xd83d} {
			lone = c.order.AppendUint16(lone, unit)
		}
		decoded, _ := decode(t, iotest.OneByteReader(bytes.NewReader(lone)), c.name)
		require.Equal(t, "a\xffb\xff\xff😀c\xff", decoded)
	}
	decoded, found := decode(t, bytes.NewReader(wide(binary.LittleEndian, "łąka")), "utf-16")
	require.Equal(t, "łąka", decoded, "without a sign, as Windows has it")
	require.Equal(t, "utf-16le", found)
}

func TestAMarkSaysMoreThanAName(t *testing.T) {
	t.Parallel()
	decoded, found := decode(t, strings.NewReader("\xef\xbb\xbfł"), "windows-1250")
	require.Equal(t, "ł", decoded)
	require.Equal(t, "utf-8", found)
}

func TestUndefinedBytes(t *testing.T) {
	t.Parallel()
	for name, bytes := range map[string]string{"windows-1250": "\x81\x83\x88\x90\x98", "windows-1252": "\x81\x8d\x8f\x90\x9d"} {
		decoded, _ := decode(t, strings.NewReader(bytes), name)
		require.Equal(t, "\xff\xff\xff\xff\xff", decoded)
		all := make([]byte, 256)
		for i := range all {
			all[i] = byte(i)
		}
		decoded, _ = decode(t, strings.NewReader(string(all)), name)
		require.Equal(t, 5, strings.Count(decoded, "\xff"))
		require.Equal(t, 256, utf8.RuneCountInString(decoded))
	}
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	for _, name := range append(csvfile.Encodings(), "") {
		require.NoError(t, csvfile.CheckEncoding(name))
	}
	for _, name := range []string{"UTF-8", "latin1", "utf-16 "} {
		require.Error(t, csvfile.CheckEncoding(name))
	}
}

func TestErrorsWhileDecoding(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken off")
	for _, raw := range []string{"", "a", "a\xb3", "\xff\xfea\x00b", "\xff\xfe\x3d\xd8", "\xef\xbb\xbf", "zażół\xc4", strings.Repeat("ł", 100_000)} {
		for _, failure := range []error{broken, io.ErrUnexpectedEOF} {
			_, err := io.ReadAll(csvfile.NewDecoder(io.MultiReader(strings.NewReader(raw), iotest.ErrReader(failure)), ""))
			require.Equal(t, failure, err, "as it is")
		}
	}
	text, err := io.ReadAll(csvfile.NewDecoder(io.MultiReader(strings.NewReader("a;ł"), iotest.ErrReader(broken)), ""))
	require.Equal(t, broken, err)
	require.Equal(t, "a;ł", string(text), "what came before it comes before it")
	require.NoError(t, iotest.TestReader(csvfile.NewDecoder(strings.NewReader("Łódź"), ""), []byte("Łódź")))
}

func zipped(t *testing.T) []byte {
	t.Helper()
	var file bytes.Buffer
	writer := zip.NewWriter(&file)
	entry, err := writer.Create("customers.csv")
	require.NoError(t, err)
	random := rand.NewChaCha8([32]byte{2})
	_, err = io.CopyN(entry, random, 100_000)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return file.Bytes()
}

// TestAZIPFileAsCSV has every row of it refused: nothing of it may pass for a customer.
func TestAZIPFileAsCSV(t *testing.T) {
	t.Parallel()
	raw := zipped(t)
	refused, taken := 0, 0
	for _, p := range readAll(t, csvfile.NewReader(csvfile.NewDecoder(bytes.NewReader(raw), ""), ',', 0, 1)) {
		if p.Fault == nil {
			taken++
		} else {
			refused++
		}
	}
	require.Greater(t, refused, taken)
	first, err := csvfile.NewReader(csvfile.NewDecoder(bytes.NewReader(raw), ""), ',', 0, 1).Read()
	require.NoError(t, err)
	require.NotNil(t, first.Fault, "the header among them")
}

// FuzzDecoder holds what is true of any file: it is the same however it arrives, and what is UTF-8 stays as it is.
func FuzzDecoder(f *testing.F) {
	for _, seed := range append(seeds, "\xff\xfea\x00", "\xfe\xff\x00a", "a\x00b\x00;\x00", "\xef\xbb\xbfł", "\xb3\xb9", "\xd8\x3d\xde\x00") {
		for i := range csvfile.Encodings() {
			f.Add([]byte(seed), uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, which uint8) {
		name := csvfile.Encodings()[int(which)%len(csvfile.Encodings())]
		whole, found := decode(t, bytes.NewReader(raw), name)
		require.Contains(t, []string{"utf-8", "utf-16le", "utf-16be", "windows-1250", "windows-1252"}, found)
		for _, from := range []io.Reader{iotest.OneByteReader(bytes.NewReader(raw)), iotest.DataErrReader(bytes.NewReader(raw))} {
			again, same := decode(t, from, name)
			require.Equal(t, whole, again)
			require.Equal(t, found, same)
		}
		if name == "auto" && utf8.Valid(raw) && !bytes.ContainsRune(raw, 0) {
			require.Equal(t, strings.TrimPrefix(string(raw), "\ufeff"), whole)
		}
	})
}

func TestDecodingTakesLittleMemory(t *testing.T) {
	for name, text := range map[string]string{
		"ASCII": "plain;text\r\n", "UTF-8": "zażółć\r\n", "windows-1250": "za\xbf\xf3\xb3\xe6\r\n", "UTF-16": "a\x00b\x00\n\x00",
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, allocated(func() {
				n, err := io.Copy(io.Discard, csvfile.NewDecoder(&repeated{text: text, left: 50 << 20}, ""))
				require.NoError(t, err)
				require.Greater(t, n, int64(20<<20))
			})>>20, uint64(1))
		})
	}
}
