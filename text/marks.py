"""Marks of sentences in all scripts, after Unicode's properties Sentence_Terminal and Terminal_Punctuation."""

from __future__ import annotations


def _of(codes: str) -> str:
    """Characters by their hexadecimal codes and ranges of codes."""
    ends = [part.partition("-") for part in codes.split()]
    return "".join(chr(code) for first, _, last in ends for code in range(int(first, 16), int(last or first, 16) + 1))


# Full stops that never belong to an abbreviation or a number: Armenian, Hebrew, Arabic, Syriac, dandas, Thai, Tibetan,
# Burmese, Ethiopic, Khmer, Mongolian, Chinese and others; then those of scripts beyond the first plane.
FULL_STOPS = _of(
    "0589 05C3 061D 061E 06D4 0700-0702 070C 0837 0839 083D 083E 085E 0964 0965 0E5A 0E5B 0F08 0F0D-0F12 104A 104B "
    "1362 1368 166E 1735 1736 17D4 17D5 17DA 1803 1805 1809 1AA8-1AAB 1B5A 1B5B 1B5E 1B5F 1B7D 1B7E 1C3B-1C3F 1C7E "
    "1C7F 2E3C 2E4F 3002 A4FF A60E A6F3 A876 A877 A8CE A8CF A92F A9C8 A9C9 AA5D-AA5F AADF AAF0 AAF1 ABEB FE12 "
    "FF61 10A56 10A57 10F55-10F59 10F86-10F89 11047 11048 110BE-110C1 11141 11142 111C5 111C6 111CD 111DE 111DF 11238 "
    "11239 1123B 1123C 112A9 1144B 1144C 115C2 115C3 115C9-115D7 11641 11642 1173C-1173E 11944 11946 11A42 11A43 11A9B "
    "11A9C 11C41 11C42 11EF7 11EF8 16A6E 16A6F 16AF5 16B37 16B38 16B44 16E98 1BC9F 1DA88")
EXCLAMATIONS = _of("07F9 1944 203C 2E53 FE15 FE57 FF01")
QUESTIONS = _of("061F 1367 1945 203D 2047-2049 2E2E 2E54 A60F A6F7 11143 FE16 FE56 FF1F")
COMMAS = _of("055D 060C 07F8 070A 1363 1802 1808 1B5D 2E41 2E4C 2E4E 3001 A4FE A60D A6F5 A9C7 FE10 FE11 FE50 FE51 "
             "FF0C FF64 1144D 16E97 1DA87")
SEMICOLONS = _of("061B 1364 A6F6 FE14 FE54 FF1B 1DA89")
COLONS = _of("0703-0709 1365 1366 17D6 1804 A6F4 FE13 FE55 FF1A 1DA8A")
WIDE_POINTS = _of("FE52 FF0E")  # of a number or an abbreviation too
WORD_DIVIDERS = _of("1361 16EB-16ED")
