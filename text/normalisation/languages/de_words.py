"""Words of written German: abbreviations, acronyms, names before Roman numerals, articles and prepositions."""

from __future__ import annotations

_SPACED = {
    "z. B.": "zum Beispiel", "d. h.": "das heißt", "u. a.": "unter anderem", "i. d. R.": "in der Regel",
    "u. U.": "unter Umständen", "o. ä.": "oder ähnliche", "o. Ä.": "oder Ähnliches", "u. ä.": "und ähnliche",
    "u. Ä.": "und Ähnliches", "s. o.": "siehe oben", "s. u.": "siehe unten", "z. T.": "zum Teil", "z. Zt.": "zurzeit",
    "z. Z.": "zurzeit", "z. Hd.": "zu Händen", "i. A.": "im Auftrag", "i. V.": "in Vertretung",
    "m. E.": "meines Erachtens", "d. M.": "dieses Monats", "i. H. v.": "in Höhe von", "i. S. v.": "im Sinne von",
    "p. a.": "pro Jahr", "zw.": "zwischen",
    "n. Chr.": "nach Christus", "v. Chr.": "vor Christus", "u. v. m.": "und vieles mehr", "a. D.": "außer Dienst",
    "v. a.": "vor allem", "d. J.": "dieses Jahres", "e. V.": "\ue000EV", "o. g.": "oben genannte", "i. e.": "das heißt",
    "u. s. w.": "und so weiter", "m. a. W.": "mit anderen Worten", "a. M.": "am Main", "b. w.": "bitte wenden"}
ABBREVIATIONS = {
    **_SPACED, **{written.replace(" ", ""): said for written, said in _SPACED.items()},
    **{written.replace(" ", "\u00a0"): said for written, said in _SPACED.items()},
    **{written.replace(" ", "\u202f"): said for written, said in _SPACED.items()},
    "Dr.": "Doktor", "Dres.": "Doktoren", "Prof.": "Professor", "Hr.": "Herr", "Hrn.": "Herrn", "Fr.": "Frau",
    "Frl.": "Fräulein", "Dipl.": "Diplom", "Ing.": "Ingenieur", "med.": "medizinisch", "phil.": "philosophisch",
    "jur.": "juristisch", "Mr.": "Mister", "Mrs.": "Misses", "Ms.": "Miss", "St.": "Sankt", "Hl.": "Heilige",
    "hl.": "heilige", "geb.": "geboren", "gest.": "gestorben", "bzw.": "beziehungsweise", "usw.": "und so weiter",
    "etc.": "et cetera", "ca.": "circa", "evtl.": "eventuell", "ggf.": "gegebenenfalls", "bzgl.": "bezüglich",
    "inkl.": "inklusive", "exkl.": "exklusive", "zzgl.": "zuzüglich", "abzgl.": "abzüglich", "vgl.": "vergleiche",
    "sog.": "sogenannte", "allg.": "allgemein", "insb.": "insbesondere", "insbes.": "insbesondere",
    "bspw.": "beispielsweise", "mind.": "mindestens", "max.": "maximal", "min.": "minimal", "engl.": "englisch",
    "dt.": "deutsch", "frz.": "französisch", "lat.": "lateinisch", "griech.": "griechisch", "ev.": "evangelisch",
    "kath.": "katholisch", "eigtl.": "eigentlich", "entspr.": "entsprechend", "ehem.": "ehemals", "gem.": "gemäß",
    "lt.": "laut", "gegr.": "gegründet", "einschl.": "einschließlich", "Nr.": "Nummer", "Nrn.": "Nummern",
    "Abb.": "Abbildung", "Abs.": "Absatz", "Art.": "Artikel", "Aufl.": "Auflage", "Bd.": "Band", "Bde.": "Bände",
    "Hrsg.": "Herausgeber", "Jg.": "Jahrgang", "Jh.": "Jahrhundert", "Jhd.": "Jahrhundert", "Kap.": "Kapitel",
    "S.": "Seite", "Tab.": "Tabelle", "Tel.": "Telefon", "Ziff.": "Ziffer", "Anm.": "Anmerkung", "Str.": "Straße",
    "Mio.": "Millionen", "Mrd.": "Milliarden", "Tsd.": "Tausend", "Std.": "Stunden", "Sek.": "Sekunden",
    "Min.": "Minuten", "Jan.": "Januar", "Feb.": "Februar", "Apr.": "April", "Aug.": "August",
    "Sept.": "September", "Okt.": "Oktober", "Nov.": "November", "Dez.": "Dezember", "Hbf": "Hauptbahnhof",
    "Bhf": "Bahnhof", "Mrz.": "März", "vs.": "versus", "urspr.": "ursprünglich", "Mitt.": "Mitteilung", "Co.": "Co",
    "No.": "Nummer", "MwSt.": "Mehrwertsteuer", "Fa.": "Firma", "Fam.": "Familie", "Gebr.": "Gebrüder",
    "Abt.": "Abteilung", "Stk.": "Stück", "Bsp.": "Beispiel", "Expl.": "Exemplare", "tgl.": "täglich",
    "mtl.": "monatlich", "jährl.": "jährlich", "zzt.": "zurzeit", "ggü.": "gegenüber", "jew.": "jeweils",
    "bes.": "besonders", "versch.": "verschiedene", "vorm.": "vormittags", "nachm.": "nachmittags",
    "Zi.": "Zimmer", "Whg.": "Wohnung", "Pkt.": "Punkte", "Erw.": "Erwachsene", "Pers.": "Personen",
    "jun.": "junior", "sen.": "senior",
    "wöchentl.": "wöchentlich", "durchschn.": "durchschnittlich"}
BEFORE_NUMBERS = frozenset("Art. Abs. S. Bd. Kap. Tab. Ziff. Nr. Nrn. Abb. Jg. No.".split())  # only before a number
# Lower-case ones that begin a sentence too; others are capitalised only before a number: Max.
AT_THE_START = frozenset((
    "inkl. exkl. zzgl. abzgl. vgl. ca. ggf. evtl. bzgl. sog. insb. insbes. bspw. eigtl. einschl. lt. engl. frz. bzw. "
    "zzt. jew. tgl. mtl. bes.").split())
BEFORE_NAMES = frozenset("Fr. St. Hr. Hl. Ms. Mr. Mrs.".split())
NUMBER_NOUNS = frozenset((
    "kapitel band teil akt szene buch abschnitt artikel klasse stufe phase typ tafel abbildung tabelle anhang gruppe "
    "weltkrieg bezirk division liga satz paragraf paragraph rocky apollo etappe hartz staffel lektion "
    "kap bd abs abb tab").split())
NAME_HEADS = frozenset((
    "könig königin kaiser kaiserin papst zar herzog fürst ludwig friedrich wilhelm heinrich karl otto konrad johannes "
    "paul pius benedikt franz joseph elisabeth katharina maria peter alexander nikolaus georg gustav adolf philipp "
    "albert albrecht ernst leopold ferdinand maximilian rudolf ramses napoleon edward eduard richard jakob charles "
    "gregor leo innozenz clemens klemens urban julius christian harald olaf erik margarethe juan "
    "carlos felipe").split())
SPELLED_WORDS = frozenset((
    "EU USA ICE EDV ARD AG UN UK FBI CIA AI KI IC IT ID IQ EC EG EZB ADAC AOK BASF BMW BND BRD BUND DDR DFB DGB DIN "
    "DNA DSL EKD GAU GEZ IBM IG IHK IOC ISBN KFZ KG LKW MDR NDR OB OECD OP ORF PKW SPD CDU CSU FDP AFD SS SA SWR TU "
    "UKW UFO URL USB VW WDR WM EM WG ZDF HIV AKW BIP BSE CEO EDV EKG EEG ETF GPS HTML OHG PDF PS RAF SMS SOS TV WC "
    "ABC AfD GmbH MEZ MESZ EUR USD ÖBB ÖVP SPÖ FPÖ SBB SRF KZ NS AGB AMD API ATM BH BGB BVB FCB HSV "
    "PC CD DVD VfB VfL TSV").split())
SPOKEN_WORDS = frozenset((
    "NATO UNO UNESCO UNICEF PIN AIDS LASER RADAR FIFA UEFA OPEC ALDI IKEA KITA COVID BAFTA NASA ESA TÜV DAX SARS TAN "
    "DEKRA HARIBO ADIDAS SIM RAM INTERPOL CERN").split())
CAPITAL_WORDS = frozenset((
    "DER DIE DAS DEM DEN DES EIN ICH DU ER SIE ES WIR IHR UND ODER ABER IST WAR HAT NICHT KEIN NEIN JA SO DA WO WAS "
    "WER WIE AN AM AUF AUS BEI IM IN MIT NACH VON VOR ZU ZUM ZUR OB UM BIS FÜR NUR NIE NUN ALLE ALLES MEHR SEHR GUT "
    "NEU ALT HALT STOPP ACH OH AH HA HEY HALLO MAN MIR DIR UNS EUCH IHN IHM HIER JETZT A O I AB WEG TUN").split())
DATIVE = frozenset((
    "in an auf mit von zu bei nach aus seit vor unter über zwischen hinter neben ab während wegen trotz innerhalb "
    "außerhalb statt gegenüber").split())
WITH_DATIVE = frozenset("vor seit mit nach von bei aus zu ab außer".split())
OF_TIME = frozenset("Sekunde Minute Stunde Tag Woche Monat Jahr Jahrhundert Jahrzehnt Jahrtausend".split())
ARTICLES = frozenset((
    "der die das dem den des am im vom zum beim zur ein eine einen einem einer eines jeder jede jedes jeden jedem "
    "dieser diese dieses diesem diesen mein sein ihr unser ihrem seinem meinem").split())
PERIODS = {"std": "Stunde", "min": "Minute", "pers": "Person", "stk": "Stück", "mon": "Monat"}
