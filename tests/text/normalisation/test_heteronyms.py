"""English words that are said in two ways: by their neighbours, in sentences of our own."""

import pytest

from text.cleaners import normalised_espeak
from text.normalisation import normalise
from text.normalisation.languages.en_heteronyms import OTHERS, PAIRS

SENTENCES = """
We read it last night. | ɹˈɛd
They have read the letter. | ɹˈɛd
He read the sign aloud. | ɹˈɛd
You should read more. | ɹˈiːd
The lead paint peeled. | lˈɛd
A pound of lead is heavy. | lˈɛd
She will lead the group. | lˈiːd
Wind the string around it. | wˈaɪnd
A cold wind blew. | wˈɪnd
Tear the page out. | tˈɛɹ
A tear ran down. | tˈɪɹ
They live in Rome. | lˈɪv
We saw a live show. | lˈaɪv
Stay close to me. | klˈoʊs
Please close the window. | klˈoʊz
At the close of the day. | klˈoʊz
She dove into the lake. | dˈoʊv
The dove cooed. | dˈʌv
We caught a sea bass. | bˈæs
He plays bass guitar. | bˈeɪs
I will record it. | ɹᵻkˈɔːɹd
She broke the record. | ɹˈɛkɚd
They present the award. | pɹɪzˈɛnt
He got a present. | pɹˈɛzənt
We object to it. | əbdʒˈɛkt
An odd object fell. | ˈɑːbdʒɛkt
Can you project your voice? | pɹədʒˈɛkt
The project ended. | pɹˈɑːdʒɛkt
They conduct tests. | kəndˈʌkt
His conduct was fine. | kˈɑːndʌkt
I cannot permit this. | pɚmˈɪt
You need a permit. | pˈɜːmɪt
The contract is signed. | kˈɑːntɹækt
Do not insult him. | ɪnsˈʌlt
That was an insult. | ˈɪnsʌlt
They will rebel soon. | ɹᵻbˈɛl
The rebel fled. | ɹˈɛbəl
We suspect them. | səspˈɛkt
The suspect ran. | sˈʌspɛkt
Prices may increase. | ɪŋkɹˈiːs
An increase of ten. | ˈɪŋkɹiːs
We import tea. | ɪmpˈoːɹt
An import tax. | ˈɪmpoːɹt
They export rice. | ɛkspˈoːɹt
He will extract the tooth. | ɛkstɹˈækt
Lemon is the extract. | ˈɛkstɹækt
These two may conflict. | kənflˈɪkt
I will contest the fine. | kəntˈɛst
She won the contest. | kˈɑːntɛst
A sharp contrast. | kˈɑːntɹæst
They will convict him. | kənvˈɪkt
The convict escaped. | kˈɑːnvɪkt
An escort came. | ˈɛskɔːɹt
They made good progress. | pɹˈɑːɡɹɛs
We protest this. | pɹətˈɛst
The farm sells its produce. | pɹˈoʊduːs
We produce cars. | pɹədˈuːs
I want my refund. | ɹˈiːfʌnd
They reject it. | ɹᵻdʒˈɛkt
He found a reject. | ɹˈiːdʒɛkt
Camels cross the desert. | dˈɛzɚt
He would desert us. | dᵻzˈɜːt
They refuse to go. | ɹᵻfjˈuːz
The refuse was burnt. | ɹˈɛfjuːs
Practise to perfect it. | pɚfˈɛkt
A perfect day. | pˈɜːfɛkt
She tried to console him. | kənsˈoʊl
The console broke. | kˈɑːnsoʊl
Use this cup. | jˈuːz
It is of no use. | jˈuːs
Excuse him, please. | ɛkskjˈuːz
That is no excuse. | ɛkskjˈuːs
We can house them. | hˈaʊz
The house burned. | hˈaʊs
Do not abuse it. | ɐbjˈuːz
We must separate them. | sˈɛpɚɹˌeɪt
A separate bed. | sˈɛpɹət
I estimate the cost. | ˈɛstᵻmˌeɪt
An estimate came. | ˈɛstᵻmət
I will graduate soon. | uːˌeɪt
A graduate came. | ɡɹˈædʒuːət
They will alternate days. | ˈɔltɚnˌeɪt
Please duplicate this key. | dˈuːplᵻkˌeɪt
The duplicate was lost. | dˈuːplᵻkət
He tried to elaborate. | ᵻlˈæbɚɹˌeɪt
An elaborate plan. | ᵻlˈæbɚɹət
The advocate spoke. | ˈædvəkət
We advocate peace. | ˈædvəkˌeɪt
She wound up the clock. | wˈaʊnd
The wound hurt. | wˈuːnd
In minute detail. | maɪnˈuːt
Wait a minute. | mˈɪnɪt
He is content with it. | kəntˈɛnt
Send my resume. | ɹˈɛzəmˌeɪ
They will resume work. | ɹᵻzˈuːm
They must transport it. | tɹænspˈoːɹt
The transport was late. | tɹˈænspoːɹt
""".strip().splitlines()


def test_at_least_forty_words_are_told_apart():
    assert len(PAIRS) + len(OTHERS) >= 40 and len(SENTENCES) >= 90


@pytest.mark.parametrize("line", SENTENCES)
def test_neighbours_decide_how_a_word_is_said(line):
    written, phonemes = line.split(" | ")
    assert phonemes in normalised_espeak([written], "en-us")[0]


def test_what_is_written_stays_and_other_english_keeps_its_phonemes():
    assert normalise("I read the record.", "en-us") == "I read the record."
    assert "ɚ" not in normalised_espeak(["She broke the record."], "en-gb")[0]
