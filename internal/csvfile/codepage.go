package csvfile

import (
	"math"
	"strings"
	"unicode"

	"golang.org/x/text/encoding/charmap"
)

// language is what the judgement knows of a language: the letters that it has beyond ASCII, in lower case, the most
// common ones first.
type language struct {
	page    *charmap.Charmap
	letters string
}

// symbols stand in texts of any language that is written in windows-1252: their places in windows-1250 are letters or
// accents.
const symbols = "º¿¡ª£³²½¹¥¼¾"

// german are letters that both pages have in the same places. They tell nothing, since German names are in everybody's
// files.
const german = "äöüß"

// languages are those whose customers are in such files; English is there for its symbols.
func languages() []language {
	central, western := charmap.Windows1250, charmap.Windows1252
	return []language{
		{central, "łóąęśżćńź"},        // Polish
		{central, "áíéěšřčýžůúťňďó"},  // Czech
		{central, "áíčéšžýťľúňóôďĺŕ"}, // Slovak
		{central, "áéóőíúű"},          // Hungarian
		{central, "čćšžđ"},            // Croatian, Slovene, Serbian
		{central, "ăţşîâ"},            // Romanian
		{western, "éèàêçôâîûïëùœæÿ"},
		{western, "óíáñéú"},       // Spanish
		{western, "éãáçíóêúôâõà"}, // Portuguese
		{western, "øåæéôòêóè"},    // Norwegian, Danish
		{western, "åéàø"},         // Swedish, Finnish
		{western, "àèùòìéíîó"},    // Italian
		{western, "éëïèáóçê"},     // Dutch
		{western, "áðíóéþæúý"},    // Icelandic
		{western, "éèïçñáóíêâôà"}, // English
	}
}

// rare is how likely a language is to have a letter that is not its own, in the names of foreigners for instance.
const rare = 0.0005

// symbolic is how likely each of the symbols is.
const symbolic = 0.01

// likelihood tells how likely a letter is in the language, as a logarithm: half as likely in the second place as in the
// first, a third as likely in the third.
func (l language) likelihood(letter rune) float64 {
	letters := []rune(l.letters)
	sum, place := 0.0, 0
	for i, own := range letters {
		sum += 1 / float64(i+1)
		if own == letter {
			place = i + 1
		}
	}
	switch {
	case place > 0:
	case l.page == charmap.Windows1252 && strings.ContainsRune(symbols, letter):
		return math.Log(symbolic)
	default:
		return math.Log(rare)
	}
	return math.Log(1 / (float64(place) * sum))
}

// tally counts the characters of a text beyond ASCII.
type tally struct {
	inWords [256]int // those with a letter at their side
	alone   [256]int
	ascii   int // letters of ASCII
	beyond  int // bytes beyond it
}

func count(text []byte) tally {
	isLetter := func(i int) bool {
		return i >= 0 && i < len(text) && (text[i] >= 0x80 || text[i]|0x20 >= 'a' && text[i]|0x20 <= 'z')
	}
	var t tally
	for i, c := range text {
		switch {
		case c < 0x80:
			if isLetter(i) {
				t.ascii++
			}
			continue
		case isLetter(i-1) || isLetter(i+1):
			t.inWords[c]++
		default:
			t.alone[c]++
		}
		t.beyond++
	}
	return t
}

// headStart is how much likelier, as a logarithm, windows-1252 is before a letter is looked at. Languages that are written
// in windows-1250 have such letters in every other word. A text that has few of them is Italian, Dutch or English.
func (t tally) headStart() float64 {
	if t.ascii > 100*t.beyond {
		return 5
	}
	return 1.5
}

// judgePage decides between windows-1250 and windows-1252: in which of the languages is it most likely that a text has
// just these characters? It takes letter by letter, which is all that lists of names allow for. Detectors that look at
// sequences of letters know none such, or are made for prose, and go wrong on them.
func judgePage(text []byte) string {
	counted := count(text)
	best, page := math.Inf(-1), charmap.Windows1252
	for _, l := range languages() {
		sum := 0.0
		if l.page == charmap.Windows1252 {
			sum = counted.headStart()
		}
		for c := 0x80; c <= 0xff; c++ {
			n := float64(counted.inWords[c] + counted.alone[c])
			letter := unicode.ToLower(l.page.DecodeByte(byte(c)))
			if n == 0 || !differs(byte(c)) && (!unicode.IsLetter(letter) || strings.ContainsRune(german, letter)) {
				continue
			}
			likely := l.likelihood(letter)
			if l.page == charmap.Windows1250 { // whose letters are no words of their own, as £ and ¿ are in the other
				sum += float64(counted.inWords[c])*likely + float64(counted.alone[c])*math.Log(rare)
			} else {
				sum += n * likely
			}
		}
		if sum > best {
			best, page = sum, l.page
		}
	}
	if page == charmap.Windows1250 {
		return centralName
	}
	return westernName
}

// differs tells whether the byte is something else in the two pages.
func differs(c byte) bool {
	return charmap.Windows1250.DecodeByte(c) != charmap.Windows1252.DecodeByte(c)
}

// pageTable is what the bytes of a page are in UTF-8. Those that it does not define are the byte 0xFF.
func pageTable(page *charmap.Charmap) [256]string {
	var table [256]string
	for i := range table {
		c := page.DecodeByte(byte(i))
		if c >= 0x80 && c < 0xa0 || c == unicode.ReplacementChar {
			table[i] = undefined
			continue
		}
		table[i] = string(c)
	}
	return table
}

// undefined stands in the text for what was no character. No text in UTF-8 has such a byte.
const undefined = "\xff"
