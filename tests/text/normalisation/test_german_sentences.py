"""Everyday German sentences whose readings were wrong before, or are easily broken."""

import pytest

from text.normalisation import normalise

SENTENCES = """
Wir treffen uns am Mo., 5. Mai, um 15 Uhr. | Wir treffen uns am Montag, fünften Mai, um fünfzehn Uhr.
Am Di, 7.1., tagt der Rat. | Am Dienstag, siebten ersten, tagt der Rat.
Sie spielen am 3., 4. und 5. Juli. | Sie spielen am dritten, vierten und fünften Juli.
Die Messe ist vom 3.-7. Juni. | Die Messe ist vom dritten bis siebten Juni.
Bis 31.12. gilt der Rabatt. | Bis einunddreißigsten zwölften gilt der Rabatt.
Das passierte am 5. d. M. | Das passierte am fünften dieses Monats.
Es ist von 9.30 bis 11.00 Uhr offen. | Es ist von neun Uhr dreißig bis elf Uhr offen.
Offen: Mo-Fr 8-18 Uhr, Sa 9-13 Uhr. | Offen: Montag bis Freitag acht bis achtzehn Uhr, Samstag neun bis dreizehn Uhr.
Um 12 h ist Mittag. | Um zwölf Uhr ist Mittag.
Sie lief 2:45:30 Stunden. | Sie lief zwei Stunden fünfundvierzig Minuten dreißig Sekunden.
Das Paket ist 30 x 20 x 15 cm groß. | Das Paket ist dreißig mal zwanzig mal fünfzehn Zentimeter groß.
Sie rief 2x an. | Sie rief zweimal an.
Es gab 4 x Gold. | Es gab viermal Gold.
Es verbraucht 6,5 l/100 km. | Es verbraucht sechs Komma fünf Liter auf einhundert Kilometer.
Man nehme 3 EL Zucker. | Man nehme drei Esslöffel Zucker.
Der Akku hat 5000 mAh. | Der Akku hat fünftausend Milliamperestunden.
Es gab Windstärke 8 Bft. | Es gab Windstärke acht Beaufort.
Der Blutdruck ist 120/80. | Der Blutdruck ist einhundertzwanzig zu achtzig.
Der Maßstab ist 1:25.000. | Der Maßstab ist eins zu fünfundzwanzigtausend.
Das Schuljahr 2019/2020 war schwer. | Das Schuljahr zweitausendneunzehn zweitausendzwanzig war schwer.
Es steht in Nr. 4/2022. | Es steht in Nummer vier Schrägstrich zweitausendzweiundzwanzig.
Er (* 1759; † 1805) schrieb. | Er (geboren siebzehnhundertneunundfünfzig; gestorben achtzehnhundertfünf) schrieb.
Rufen Sie 112 an. | Rufen Sie eins eins zwei an.
Er zahlt unter 110 Euro. | Er zahlt unter einhundertzehn Euro.
PLZ 10115 ist Berlin. | PLZ eins null eins eins fünf ist Berlin.
Er wohnt in 80331 München. | Er wohnt in acht null drei drei eins München.
Er wohnt in 12000 Metern Höhe. | Er wohnt in zwölftausend Metern Höhe.
Telefon: +49 (0)89 1234 | Telefon: plus neunundvierzig, null, acht neun, eins zwei drei vier
Es kostet CHF 35.50. | Es kostet fünfunddreißig Franken fünfzig.
Das Bier kostet 4,– Euro. | Das Bier kostet vier Euro.
Max. 4 Personen. | Maximal vier Personen.
Das ist Max. | Das ist Max.
Inkl. 19 % MwSt. | Inklusive neunzehn Prozent Mehrwertsteuer.
Vgl. auch Kap. II. | Vergleiche auch Kapitel zwei.
Es steht auf S. 3 ff. | Es steht auf Seite drei fortfolgende.
Der Roman hat 352 S. und viele Bilder. | Der Roman hat dreihundertzweiundfünfzig Seiten und viele Bilder.
Wir waren zu 5. unterwegs. | Wir waren zu fünft unterwegs.
Der Arzt Dr. med. Meier ist da. | Der Arzt Doktor med Meier ist da.
Der 1. FC Köln spielt heute. | Der erste FC Köln spielt heute.
Ab 18 J. freigegeben. | Ab achtzehn Jahren freigegeben.
"""


@pytest.mark.parametrize("written, said", [line.split(" | ") for line in SENTENCES.strip().splitlines()])
def test_a_sentence_is_read_aloud(written, said):
    assert normalise(written, "de").rstrip(".") == said.rstrip(".")
