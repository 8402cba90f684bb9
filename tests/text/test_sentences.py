"""Sentences of many languages, the same however the text arrives, never too long, nothing lost."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from text.abbreviations import TABLES
from text.sentences import SentenceSplitter, are_joined, cut_place, is_sound, split_sentences

ROOT = Path(__file__).parents[2]

# A bar between sentences; where the script has spaces one stands in its place.
CASES = {
    "en-us": [
        "Dr. Bell met Mrs. Stone.|They left.", "Bring pens, paper, etc.|Then we start.", "Pens, paper, etc. are here.",
        "She works for Bell Inc. in Leeds.|He works for Stone Ltd.|They met.", "Bell Inc. Chairman Stone spoke.",
        "Pi is 3.14 and e is 2.71.|Both go on.", "It costs $3.50.|It was $4.|$5 is more.",
        "J. R. R. Tolkien wrote it.|C. S. Lewis read it.", "James T. Kirk flew.", "So did I.|Then we slept.",
        "You and I.|Did you see Albert I. Jones?", "Take vitamin C.|It helps.",
        "She has a Ph.D. in law.|He has a Ph.D.|Yes.",
        "The U.S. Army came.|It left the U.S.|He stayed in the U.S. until May.",
        "It is e.g. a dog, i.e. an animal.|OK?",
        "She said 'no.'|Then she left.", "She said \"no.\"|Then she left.", "“Stop!” he said.|“Why?” she asked.",
        "\"Go.\"|\"Why?\"|\"Because.\"", "He asked, “What?”, and left.", "(He had taught before.)|Now he writes.",
        "He teaches (he wrote for a paper once.) at school.", "Wait... what?|No.",
        "I never said that....|She went home.",
        "And so… he slept.|And so…|Nobody came.", "Well . . . no.|See you . . .|Now go.", "What?!|Really?!|Yes!!!",
        "See https://a.example.com/x.html?b=1.|Then write to jo.doe@mail.example.|Bye.",
        "Open report.final.txt now.|Version 2.0.1 is out.|Use v1.2.|It is new.",
        "Node.js is old.|Is it .NET?|.5 is half.",
        "At 5 p.m. Mr. Smith left.|She came at 6 p.m.|Then they ate.", "It opens at 9 a.m. and closes at 5 p.m.",
        "1. First do this.|2. Then do that.", "1.) The first thing.|2.) The second thing.", "See fig. 3.|See No. 5.",
        "The answer is no.|He left.", "She works at Yahoo! in sales.|Do you?", "I live on Main St.|He is in St. Louis.",
        "the cat sat.|then it left!|why?|nobody knows.", "Is it?|— No.|— Yes!", "**Note.**|Then go.", "Great!!! 😀",
        "I like it.|😀 So much!", "In 1984.|He was 10.|Then 11.", "Hello .|There .", "HTML.|CSS is next.",
    ],
    "de": [
        "Er kam am 3. Mai an.|Sie kam später.", "Der 1. FC Köln gewann.|Das freut uns.", "Es sind 1.000,50 Euro.|Viel!",
        "z. B. Hunde, d. h. Tiere.|Ja.", "Das sind bzw. waren ca. 5 Leute usw.|Dann ging er.",
        "Birnen usw. liegen dort.",
        "Ludwig XIV. war König.|Im 19. Jahrhundert lebte er nicht.", "Prof. Dr. Meier sagte: „Nein.“|Dann ging er.",
        "Er sagte: »Nein.«|Sie ging.", "Das war 1984.|Mai war es nicht.", "Siehe S. 12 und Abb. 3.|Danach Nr. 4.",
        "„Halt!“, rief er.|„Warum?“, fragte sie.", "Er wohnt in der Hauptstr. 5.|Wo?",
        "Er wurde 3.|Der Sieger jubelte.",
    ],
    "fr-fr": [
        "M. Dupont est là.|Mme. Le Pen aussi.", "« Non ! » dit-il.|« Oui. »|Il part.", "Quoi ?|Rien, p. ex. le soir.",
        "Il est né en 50 av. J.-C. à Rome.|Puis il part.", "C'est fini…|Non, c'est… autre chose.",
    ],
    "es": [
        "¿Qué tal?|¡Muy bien!|El Sr. García vino.", "La Dra. Ruiz vive en EE. UU. con su hija.|Hoy no.",
        "Vea la pág. 5, p. ej. la fig. 2.|¿Sí?", "Compra pan, leche, etc.|Luego ven.",
    ],
    "it": ["Il Sig. Rossi e il Dott. Verdi.|Poi basta.", "Pane, ecc. sono qui.|Vedi pag. 3.",
    "Nel 44 a.C. morì.|Che dire?"],
    "pt-br": ["O Sr. Silva chegou.|A Sra. Lima não.", "Ver pág. 5, p. ex. a fig. 2.|Sim."],
    "nl": ["Dhr. Jansen en mevr. de Vries.|Zij zijn er.", "Neem brood, melk enz. mee.|Bijv. morgen."],
    "ru": [
        "А. С. Пушкин родился в 1799 г. в Москве.|Он писал.", "Это т. е. так и т. д.|Потом ушёл.",
        "— Привет! — сказал он.|— Как дела?|— Хорошо.", "Живёт на ул. Ленина, д. 5.|Да.",
    ],
    "pl": ["Prof. Nowak mieszka przy ul. Długiej.|To jest np. 3. dom.", "Chleb, mleko itd.|Potem idź."],
    "sv": ["Det är t.ex. en hund.|Ja, bl.a. den."],
    "cmn": [
        "你好。|我是小明！|你呢？", "他说：“好。”|她走了。", "圆周率是3.14。|对吗?|是的!|好。", "他说OK。|“你好吗？”",
        "他说\"好。\"|她走。|\"喂。\"",
        "网址是a.com。|好",
        "他问：“几点？”，没人答。",
    ],
    "ja": ["今日は。|「行くよ！」と言った。|「はい。」", "彼は「うん。」って言う。|終わり。"],
    "hi": ["यह घर है।|वह कौन है?|नमस्ते॥"], "ur": ["یہ گھر ہے۔|کیا؟|ہاں۔"], "ar": ["كيف حالك؟|أنا بخير.|شكرا!"],
    "hy": ["Բարեւ։|Ինչպես ես։"], "am": ["ሰላም።|እንዴት ነህ፧|ደህና።"], "ko": ["안녕하세요.|반갑습니다!|네?"],
    "th": ["สวัสดีครับ ผมชื่อโจ"], "el": ["Γεια σου.|Τι κάνεις\u037e|Καλά."], "km": ["សួស្តី។|អរគុណ។"],
    "my": ["မင်္ဂလာပါ။|ဟုတ်ကဲ့။"],
}
JOINT = {"cmn": "", "ja": "", "ur": " "}

FRAGMENTS = [
    "Dr. ", "etc. ", "U.S. ", "a", "B", "word ", "Then ", "he ", "3", "1. ", ".", "!", "? ", "…", ". . . ", '"', "' ",
    "”", "« ", " »", "(", ") ", ",", "; ", " — ", "- ", "• ", " ", "\n", "\r\n", "\n\n", "\u2029", "。", "」", "「",
    "！", "と", "、", "你", "।", "é", "\u0301", "\u200d", "👩\u200d👧", "🇩🇪", "😀", "$", "\ud83d", "\ude00", "ไ", "กำ",
    "***",
]
TEXTS = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=3)), max_size=40).map("".join)
LIMITS = st.one_of(st.none(), st.integers(1, 60))
LANGUAGES = st.sampled_from([*TABLES, "cmn"])


def texts(sentences):
    return [sentence.text for sentence in sentences]


def fed(splitter, pieces):
    return [sentence for piece in pieces for sentence in splitter.feed(piece)] + splitter.finish()


@pytest.mark.parametrize("language, case", [(language, case) for language, cases in CASES.items() for case in cases])
def test_a_text_has_its_sentences(language, case):
    sentences = case.split("|")
    assert texts(split_sentences(JOINT.get(language, " ").join(sentences), language)) == sentences


def test_there_are_enough_cases():
    assert sum(map(len, CASES.values())) > 60 and {"en", "de", "fr", "es", "it", "pt", "nl", "ru"} <= set(TABLES)


@settings(max_examples=300, deadline=None)
@given(TEXTS, LANGUAGES, LIMITS, st.randoms(use_true_random=False))
def test_pieces_make_no_difference(text, language, limit, chance):
    whole = split_sentences(text, language, limit)
    assert fed(SentenceSplitter(language, limit), text) == whole
    cuts = sorted(chance.randrange(len(text) + 1) for _ in range(4))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)])]
    assert fed(SentenceSplitter(language, limit), pieces) == whole


@settings(max_examples=300, deadline=None)
@given(TEXTS, LANGUAGES, LIMITS)
@example("***\n\n*** a\n\n!", "en", None)
def test_nothing_is_lost_and_nothing_is_too_long(text, language, limit):
    end = 0
    for sentence in split_sentences(text, language, limit):
        assert end <= sentence.start < sentence.end
        assert not any(map(is_sound, text[end:sentence.start])), "something between two sentences is lost"
        assert sentence.text == " ".join(text[sentence.start:sentence.end].split())
        assert any(map(is_sound, sentence.text)) and len(sentence.text) <= (limit or 5000)
        end = sentence.end
    assert not any(map(is_sound, text[end:]))


@settings(max_examples=200, deadline=None)
@given(TEXTS, LANGUAGES)
def test_every_mark_of_a_paragraph_with_words_is_kept(text, language):
    text = "a " + text.replace("\n", " ").replace("\r", " ").replace("\u2029", " ").translate(
        dict.fromkeys(map(ord, "\v\f\x85\u2028"), " "))
    assert "".join("".join(texts(split_sentences(text, language))).split()) == "".join(text.split())


@pytest.mark.parametrize("text, known_after", [
    ("He left. Then", "He left. T"), ("He left.\n\nThen", "He left.\n\n"), ("He left! “Then", "He left! “T"),
    ("你好。我", "你好。我"), ("नमस्ते। व", "नमस्ते। व"), ("In the U.S. He did", "In the U.S. He "), ("Ask J. Smith", None),
    ("No. 5", None), ("Hello. ", None), ("Is it 3.14", None),
])
def test_a_sentence_leaves_as_soon_as_it_is_sure(text, known_after):
    splitter = SentenceSplitter("en-us")
    known = next((text[:place] for place in range(1, len(text) + 1) if splitter.feed(text[place - 1])), None)
    assert known == known_after


def test_pieces_that_the_length_guard_ends_are_known():
    text = "so it is and so it was and so it will be, they said and said. Then they left."
    pieces = split_sentences(text, "en-us", 24)
    assert [piece.is_cut for piece in pieces] == [piece.text[-1] != "." for piece in pieces]
    assert sum(piece.is_cut for piece in pieces) > 1


def test_places_are_those_in_all_that_was_fed():
    splitter = SentenceSplitter()
    found = fed(splitter, ["  One  two\nthree", ".  \r\n \r\n Fo", "ur. ", "Five"])
    assert [tuple(sentence) for sentence in found] == [
        ("One two three.", 2, 17, True), ("Four.", 25, 30, False), ("Five", 31, 35, True)]
    assert [tuple(sentence) for sentence in fed(splitter, ["New."])] == [("New.", 0, 4, True)]  # ready for another


@pytest.mark.parametrize("text, sentences, last", [
    ("One\ntwo.", ["One two."], [True]), ("One\n\ntwo", ["One", "two"], [True, True]), ("a\r\nb\rc", ["a b c"], [True]),
    ("One. Two.\n \t\nThree", ["One.", "Two.", "Three"], [False, True, True]), ("a\r\rb\u2029c", ["a", "b", "c"],
    [True] * 3),
    ("***\n\nOne. ***\n\n---", ["One. ***"], [True]), (" \n ", [], []), ("...", [], []), ("", [], []),
])
def test_an_empty_line_ends_a_paragraph_and_a_line_break_does_not(text, sentences, last):
    found = split_sentences(text)
    assert texts(found) == sentences and [sentence.ends_paragraph for sentence in found] == last


@pytest.mark.parametrize("text, sentences", [
    ("Buy:\n1. Milk\n2. Eggs\n10. Gold", ["Buy:", "1. Milk", "2. Eggs 10. Gold"]),
    ("Buy:\n- milk\n- eggs\n\n• tea\n• salt", ["Buy:", "- milk", "- eggs", "• tea", "• salt"]),
    ("1) Milk\n2) Eggs", ["1) Milk", "2) Eggs"]), ("It was in\n1. place, not -\n3", ["It was in 1. place, not - 3"]),
])
def test_the_items_of_a_list_are_sentences(text, sentences):
    assert texts(split_sentences(text, "de")) == sentences


@pytest.mark.parametrize("limit, pieces", [
    (60, ["When evening had come to its end, and nobody was left,", "he sat down at the window; the moon was high."]),
    (40, ["When evening had come to its end,", "and nobody was left,", "he sat down at the window;",
    "the moon was high."]),
])
def test_a_long_sentence_is_cut_where_a_reader_breathes(limit, pieces):
    text = "When evening had come to its end, and nobody was left, he sat down at the window; the moon was high. Yes."
    found = split_sentences(text, "en", limit)
    assert texts(found) == [*pieces, "Yes."]
    assert [sentence.ends_paragraph for sentence in found] == [False] * len(pieces) + [True]


@pytest.mark.parametrize("text, limit, pieces", [
    ("one two three four (five six) seven eight nine ten", 36,
     ["one two three four (five six)", "seven eight nine ten"]),
    ("one two three four five six seven eight because nine ten eleven twelve", 60,
     ["one two three four five six seven eight", "because nine ten eleven twelve"]),
    ("今天天气很好，我们一起去公园散步，看到很多人在那里放风筝", 20,
     ["今天天气很好，我们一起去公园散步，", "看到很多人在那里放风筝"]),
    ("สวัสดีครับผมชื่อโจ ยินดีที่ได้รู้จักครับ", 30, ["สวัสดีครับผมชื่อโจ", "ยินดีที่ได้รู้จักครับ"]),
    ("it costs 1 000 000 euros now", 16, ["it costs", "1 000 000", "euros now"]), ("x" * 30, 20, ["x" * 15, "x" * 15]),
])
def test_the_best_place_is_found(text, limit, pieces):
    assert texts(split_sentences(text, "en", limit)) == pieces


def test_pieces_are_balanced():
    chance = random.Random(1)
    text = " ".join("x" * chance.randint(1, 9) for _ in range(3000))
    lengths = [len(sentence.text) for sentence in split_sentences(text, "en", 200)]
    assert max(lengths) <= 200 and min(lengths) >= 100
    assert cut_place("ab " * 50, 100, 75) in (74, 77)


@pytest.mark.parametrize("unit", ["e\u0301\u0302", "👩\u200d👩\u200d👧", "🇩🇪", "👍🏽", "क्षि", "กำ", "ᄒ\u1161\u11ab",
"❤\ufe0f"])
def test_what_is_one_character_on_paper_is_not_cut(unit):
    text = "a" + unit * 40
    found = split_sentences(text, "en", 20)
    assert len(found) > 2 and "".join(texts(found)) == text
    assert all((len(piece) - (place == 0)) % len(unit) == 0 for place, piece in enumerate(texts(found)))
    assert not any(piece.startswith("\ude00") for piece in texts(split_sentences("a\ud83d\ude00" * 40, "en", 20)))
    assert not are_joined("ab", 1) and are_joined("a\u0301", 1)


@pytest.mark.parametrize("text", ["word ", "x", "a. ", "1.", "你", "「あ！」と", "U.S. Army ", "and, ", "\u0301",
                                  '." '])
def test_endless_text_without_an_end_does_not_pile_up(text):
    splitter, n_fed, n_out = SentenceSplitter("en-us", 100), 0, 0
    for _ in range(1000):
        out = splitter.feed("a" + text)
        n_fed += 1 + len(text)
        n_out = out[-1].end if out else n_out
        assert n_fed - n_out <= 250  # twice the limit, white space, and the piece in hand


def test_a_book_has_short_sentences_from_the_first_page_to_the_last():
    page = "It was late, and Mr. Bell slept. “Why?” she asked.\nNobody knew; it was 3.14 p.m. then.\n\n"
    found = split_sentences(page * 2300, "en-us", 200)
    assert len(page) * 2300 > 200_000 and texts(found) == texts(split_sentences(page)) * 2300
    assert found[-1].end == len(page) * 2300 - 2


def test_a_language_without_a_table_is_read_as_english_with_its_own_ordinals():
    assert texts(split_sentences("Mr. X came. Dne 3. Mai.", "cs")) == ["Mr. X came.", "Dne 3. Mai."]
    assert texts(split_sentences("Mr. X came 3. Mai.", "xx")) == ["Mr. X came 3.", "Mai."]
    assert texts(split_sentences("Am 3. Mai. Ja.", "de_AT")) == ["Am 3. Mai.", "Ja."]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit):
    with pytest.raises(ValueError, match=rf"max_characters is {limit}; expected None or at least 1"):
        SentenceSplitter(max_characters=limit)


def test_an_abbreviation_has_one_kind_and_no_last_point():
    for rules in TABLES.values():
        kinds = [rules.never, rules.before_number, rules.before_capital, rules.perhaps]
        names = [name for kind in kinds for name in kind]
        assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
        assert all(name == name.lower() and not name.endswith(".") for name in names)
        assert rules.starters and rules.conjunctions


def test_importing_sentences_is_cheap():
    code = "import sys, text.sentences; print({'torch', 'phonemizer', 'numpy', 'unidecode'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
