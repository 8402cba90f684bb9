"""English words that are said in two ways, told apart by their neighbours; phonemes as espeak-ng's en-us has them.

    pronunciation("read", ["i", "have"], ["it"])        # "ɹˈɛd"
"""

from __future__ import annotations

# word -> as noun or adjective, as verb
PAIRS = {word: (noun, verb) for word, noun, verb in (row.split() for row in """
record ɹˈɛkɚd ɹᵻkˈɔːɹd
present pɹˈɛzənt pɹɪzˈɛnt
object ˈɑːbdʒɛkt əbdʒˈɛkt
project pɹˈɑːdʒɛkt pɹədʒˈɛkt
conduct kˈɑːndʌkt kəndˈʌkt
permit pˈɜːmɪt pɚmˈɪt
contract kˈɑːntɹækt kəntɹˈækt
insult ˈɪnsʌlt ɪnsˈʌlt
rebel ɹˈɛbəl ɹᵻbˈɛl
subject sˈʌbdʒɛkt səbdʒˈɛkt
suspect sˈʌspɛkt səspˈɛkt
transfer tɹˈænsfɜː tɹænsfˈɜː
increase ˈɪŋkɹiːs ɪŋkɹˈiːs
decrease dˈiːkɹiːs dᵻkɹˈiːs
import ˈɪmpoːɹt ɪmpˈoːɹt
export ˈɛkspoːɹt ɛkspˈoːɹt
extract ˈɛkstɹækt ɛkstɹˈækt
conflict kˈɑːnflɪkt kənflˈɪkt
contest kˈɑːntɛst kəntˈɛst
contrast kˈɑːntɹæst kəntɹˈæst
convict kˈɑːnvɪkt kənvˈɪkt
convert kˈɑːnvɜːt kənvˈɜːt
escort ˈɛskɔːɹt ɛskˈɔːɹt
incline ˈɪŋklaɪn ɪŋklˈaɪn
progress pɹˈɑːɡɹɛs pɹəɡɹˈɛs
protest pɹˈoʊtɛst pɹətˈɛst
produce pɹˈoʊduːs pɹədˈuːs
refund ɹˈiːfʌnd ɹᵻfˈʌnd
reject ɹˈiːdʒɛkt ɹᵻdʒˈɛkt
survey sˈɜːveɪ sɚvˈeɪ
torment tˈɔːɹmɛnt tɔːɹmˈɛnt
transport tɹˈænspoːɹt tɹænspˈoːɹt
digest dˈaɪdʒɛst daɪdʒˈɛst
desert dˈɛzɚt dᵻzˈɜːt
refuse ɹˈɛfjuːs ɹᵻfjˈuːz
perfect pˈɜːfɛkt pɚfˈɛkt
console kˈɑːnsoʊl kənsˈoʊl
addict ˈædɪkt ɐdˈɪkt
use jˈuːs jˈuːz
excuse ɛkskjˈuːs ɛkskjˈuːz
house hˈaʊs hˈaʊz
abuse ɐbjˈuːs ɐbjˈuːz
close klˈoʊs klˈoʊz
separate sˈɛpɹət sˈɛpɚɹˌeɪt
estimate ˈɛstᵻmət ˈɛstᵻmˌeɪt
graduate ɡɹˈædʒuːət ɡɹˈædʒuːˌeɪt
alternate ˈɔltɚnət ˈɔltɚnˌeɪt
moderate mˈɑːdɚɹət mˈɑːdɚɹˌeɪt
deliberate dᵻlˈɪbɚɹət dᵻlˈɪbɚɹˌeɪt
duplicate dˈuːplᵻkət dˈuːplᵻkˌeɪt
elaborate ᵻlˈæbɚɹət ᵻlˈæbɚɹˌeɪt
advocate ˈædvəkət ˈædvəkˌeɪt
appropriate ɐpɹˈoʊpɹɪət ɐpɹˈoʊpɹɪˌeɪt
wind wˈɪnd wˈaɪnd
tear tˈɪɹ tˈɛɹ
live lˈaɪv lˈɪv
wound wˈuːnd wˈaʊnd
bow bˈoʊ bˈaʊ
resume ɹˈɛzəmˌeɪ ɹᵻzˈuːm
""".strip().splitlines())}
# word -> two pronunciations, and what decides for the second: words before it, words behind it
OTHERS = {
    "lead": (("lˈiːd", "lˈɛd"), "molten contains melted",
             "pipe pipes paint poisoning bullet bullets acid pencil ore mine glass "
             " shot balloon battery batteries weights free"),
    "bass": (("bˈeɪs", "bˈæs"), "sea striped largemouth smallmouth fried grilled caught", "fish fishing boat boats"),
    "minute": (("mˈɪnɪt", "maɪnˈuːt"), "very extremely",
               "detail details quantities quantity amounts particles traces differences changes inspection fragments"),
    "content": (("kˈɑːntɛnt", "kəntˈɛnt"), "am feel felt feels seem seemed seems quite perfectly", "to with"),
    "polish": (("pˈoʊlɪʃ", "pˈɑːlɪʃ"), "", "the your my his her our their it them up off these those"),
    "dove": (("dˈʌv", "dˈoʊv"), "",
             "in into off under down for deep deeper headfirst right straight through"),
    "read": (("ɹˈiːd", "ɹˈɛd"),
             "have has had was were is are been being i've you've we've they've already he she it", ""),
}
DETERMINERS = frozenset((
    "a an the this that these those my your his her its our their no every each some any another of in on new old "
    "first last same good great big long hot").split())
VERBAL = frozenset((
    "to will would can could shall should may might must do does did don't doesn't didn't won't can't cannot "
    "couldn't wouldn't shouldn't let's not never i you we they who please i'll you'll we'll they'll he'll she'll "
    "i'd we'd always often").split())
OBJECTS = frozenset((
    "it them him me us you themselves himself the this that these those my your his her our their a an up").split())
PAST = frozenset((
    "yesterday ago last once when was were had then earlier before").split())
BARE_ONLY = frozenset({"live", "bow", "resume"})  # an object behind them decides nothing
ADJECTIVE_BEFORE = frozenset((
    "very so too how is was are were came come comes stay stand stood get got more as quite be being been it's "
    "that's").split())
CLOSE_BEHIND = frozenset((
    "to by friend friends call enough relationship together attention race range family relatives second").split())
LIVE_BEHIND = frozenset((
    "music show shows concert concerts broadcast audience ammunition performance performances coverage stream wire "
    "animals band recording event events tv television album updates chat bait").split())


def pronunciation(word: str, before: list[str], behind: list[str]) -> str | None:
    """Its phonemes between words before and behind it, all in lower case; None if nothing decides."""
    last, following = before[-1] if before else "", behind[0] if behind else ""
    if word in OTHERS:
        return _other(word, last, following, before, behind)
    noun, verb = PAIRS[word]
    if word == "close" and (last in ADJECTIVE_BEFORE or following in CLOSE_BEHIND) and last not in VERBAL:
        return noun
    if word == "close" and last in DETERMINERS:
        return verb if following in ("", "of", ".", ";", "!", "?") else noun
    if word == "live":
        return noun if following in LIVE_BEHIND else verb if last in VERBAL else None
    if word == "wound" and last not in DETERMINERS:
        return verb if following in ("up", "around", "down", "through", "the", "its", "his", "along") else None
    if word == "tear" and following in ("up", "down", "apart", "off", "out", "through", "it", "them"):
        return verb
    if last in VERBAL:
        return verb
    if last in DETERMINERS:
        return noun
    return verb if following in OBJECTS and word not in BARE_ONLY else None


def _other(word: str, last: str, following: str, before: list[str], behind: list[str]) -> str | None:
    (first, second), words_before, words_behind = OTHERS[word]
    if word == "read":
        if last in VERBAL:
            return second if PAST & set(behind) and last in ("i", "you", "we", "they", "who") else first
        return second if last in words_before.split() else None
    if word == "lead" and before[-1:] == ["of"]:
        return second
    if word == "dove" and last in DETERMINERS:
        return first
    return second if last in words_before.split() or following in words_behind.split() else None
