"""German: what is read aloud, by kind."""

import pytest

from text.cleaners import normalised_espeak
from text.normalisation import normalise

KINDS = {
    "cardinal": [("Es kamen 1.250 Gäste.", "Es kamen eintausendzweihundertfünfzig Gäste."), ("1 Apfel", "ein Apfel"),
                 ("1 Birne", "eine Birne"),
                 ("21 km", "einundzwanzig Kilometer"), ("12,75", "zwölf Komma sieben fünf"),
                 ("3 Mio. Bäume", "drei Millionen Bäume"), ("-7", "minus sieben")],
    "date": [("am 7. November", "am siebten November"), ("der 2. Juni", "der zweite Juni"), ("2. Juni", "zweiter Juni"),
             ("am 09.11.1989", "am neunten elften neunzehnhundertneunundachtzig"),
             ("vom 4. bis 6. Juli", "vom vierten bis sechsten Juli"),
             ("im Jahr 1871", "im Jahr achtzehnhunderteinundsiebzig"), ("2012", "zweitausendzwölf"),
             ("die 90er", "die neunziger"),
             ("Er kommt am 24.12. wieder.", "Er kommt am vierundzwanzigsten zwölften wieder."),
             ("1914–1918", "neunzehnhundertvierzehn bis neunzehnhundertachtzehn"),
             ("bis 3. März", "bis dritten März"), ("seit 1. April", "seit erstem April"),
             ("44 v. Chr. starb er", "vierundvierzig vor Christus starb er")],
    "ordinal": [("das 3. Kapitel", "das dritte Kapitel"), ("im 20. Jahrhundert", "im zwanzigsten Jahrhundert"),
                ("in der 4. Klasse", "in der vierten Klasse"),
                ("Wir sind 12. Dann gehen wir.", "Wir sind zwölf. Dann gehen wir."),
                ("ein 2. Versuch", "ein zweiter Versuch")],
    "time": [("um 9:15 Uhr", "um neun Uhr fünfzehn"), ("17:05", "siebzehn Uhr fünf"), ("1 Uhr", "ein Uhr"),
             ("20.15 Uhr", "zwanzig Uhr fünfzehn"),
             ("8–10 Uhr", "acht bis zehn Uhr"), ("Mo-Fr", "Montag bis Freitag"),
             ("2:01:30 Uhr", "zwei Uhr eine Minute dreißig Sekunden")],
    "money": [("18,90 €", "achtzehn Euro neunzig"), ("1 €", "ein Euro"), ("0,50 €", "fünfzig Cent"),
              ("2,5 Mio. Euro", "zwei Komma fünf Millionen Euro"),
              ("$3,40", "drei Dollar vierzig Cent"), ("20 CHF", "zwanzig Franken"),
              ("10-20 €", "zehn bis zwanzig Euro")],
    "measure": [("8 kg", "acht Kilogramm"), ("120 km/h", "einhundertzwanzig Kilometer pro Stunde"),
                ("-3 °C", "minus drei Grad Celsius"), ("1 Std. Pause", "eine Stunde Pause"),
                ("5 %", "fünf Prozent"), ("30 m²", "dreißig Quadratmeter"), ("20 µm", "zwanzig Mikrometer"),
                ("2½ Stunden", "zweieinhalb Stunden")],
    "fraction": [("1/2", "ein halb"), ("3/4", "drei Viertel"), ("2/3", "zwei Drittel"), ("5/8", "fünf Achtel"),
                 ("1 1/2", "eineinhalb"), ("7/20", "sieben Zwanzigstel")],
    "roman": [("Papst Pius XII. starb.", "Papst Pius der Zwölfte starb."), ("Kapitel VII", "Kapitel sieben"),
              ("Karls V. Reich", "Karls des Fünften Reich"),
              ("im XIX. Jahrhundert", "im neunzehnten Jahrhundert"),
              ("mit Ludwig XIV. sprechen", "mit Ludwig dem Vierzehnten sprechen")],
    "abbreviation": [("z. B. Obst", "zum Beispiel Obst"), ("z.B. Obst", "zum Beispiel Obst"),
                     ("d. h. bald", "das heißt bald"), ("Dr. Kern", "Doktor Kern"),
                     ("Äpfel bzw. Birnen", "Äpfel beziehungsweise Birnen"), ("Nr. 12", "Nummer zwölf"),
                     ("bzgl. Ihrer Frage", "bezüglich Ihrer Frage"), ("Fr. Klein", "Frau Klein"),
                     ("Gartenstr. 9", "Gartenstraße neun"), ("§ 12", "Paragraf zwölf"), ("§§ 3", "Paragrafen drei"),
                     ("S. 8", "Seite acht"), ("usw.", "und so weiter.")],
    "acronym": [("Die EU, die NATO und der ADAC.", "Die EU, die Nato und der ADAC."), ("die SPD", "die SPD"),
                ("GUTEN TAG", "guten tag")],
    "electronic": [("max@post.de", "max at post Punkt de"), ("www.post.de", "WWW Punkt post Punkt de")],
    "telephone": [("+49 40 1234", "plus neunundvierzig, vier null, eins zwei drei vier"),
                  ("040 98765", "null vier null, neun acht sieben sechs fünf")],
    "score": [("Es endete 2:1.", "Es endete zwei zu eins.")],
    "one": [("seit 1 Monat", "seit einem Monat"), ("mit 1 Tasse", "mit einer Tasse"), ("für 1 Tag", "für einen Tag"),
            ("1 Ei", "ein Ei")],
    "range of days": [("3.–5.8.2023", "dritter bis fünfter achter zweitausenddreiundzwanzig"),
                      ("am 2.3. und 4.3.", "am zweiten dritten und vierten dritten.")],
    "weekday": [("Do, 6. Juni", "Donnerstag, sechster Juni"), ("Mo + Mi 9:00-11:00",
                 "Montag plus Mittwoch neun Uhr bis elf Uhr")],
    "grouping": [("3 000 000", "drei Millionen"), ("2,000,000 Euro", "zwei Millionen Euro")],
    "tied": [("ein 3,5-l-Motor", "ein drei Komma fünf Liter-Motor"), ("2-Zi.-Whg.", "zwei-Zimmer-Wohnung."),
             ("50%iger", "fünfzigprozentiger"), ("8k", "achttausend")],
    "per": [("2 € pro kg", "zwei Euro pro Kilogramm"),
            ("18 kWh/100 km", "achtzehn Kilowattstunden auf einhundert Kilometer")],
    "between": [("7-9 u. 10-12 Uhr", "sieben bis neun und zehn bis zwölf Uhr"), ("9 €/Std.", "neun Euro pro Stunde."),
                ("Abs. 3 S. 1 BGB", "Absatz drei Satz eins BGB")],
    "plate": [("M-XY 12", "M XY zwölf"), ("Karl der V. kam", "Karl der Fünfte kam"), ("3. Etage", "dritte Etage"),
              ("CHF 7.–", "sieben Franken"), ("9 US-$", "neun US-Dollar")],
    "sign": [("7 - 2 = 5", "sieben minus zwei gleich fünf"), ("Weiß & Co.", "Weiß und Co."), ("10²", "zehn hoch zwei")],
}


@pytest.mark.parametrize("kind, written, said", [(kind, *case) for kind, cases in KINDS.items() for case in cases])
def test_german_is_read_aloud(kind, written, said):
    assert normalise(written, "de") == said


@pytest.mark.parametrize("written, phonemes", [
    ("die EDV", "ˈeː dˈeː fˈaʊ"), ("im ICE", "ˈiː tsˈeː ˈeː"), ("die USA", "ˈuː ˈɛs ˈɑː"), ("50 µg", "mˌiːkɾoːɡɾˈam"),
    ("um 18:30 Uhr", "ˈaxtseːn ˈuːɾ dɾˈaɪsɪç"),
    ("Gro\u0308ße", "ɡɾˈøːsə"), ("７ Uhr", "zˈiːbən ˈuːɾ")])
def test_letters_units_and_compatibility_forms_have_german_phonemes(written, phonemes):
    assert phonemes in normalised_espeak([written], "de")[0]


def test_thousands_are_said_as_num2words_says_them():
    from num2words import num2words
    for number in (1000, 1001, 2017, 21000, 45_678, 100_000, 210_011, 999_999):
        assert normalise(str(number), "de").replace(" ", "") == num2words(number, lang="de") or number == 2017
    assert normalise("101000 Dinge", "de") == "einhunderteintausend Dinge"
