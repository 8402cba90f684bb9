"""Words of written English: abbreviations, acronyms, streets, states, names before Roman numerals."""

from __future__ import annotations

_TITLES = {
    "Mr": "mister", "Mrs": "misses", "Ms": "miz", "Dr": "doctor", "Drs": "doctors", "Prof": "professor",
    "Gen": "general", "Col": "colonel", "Maj": "major", "Capt": "captain", "Lt": "lieutenant", "Sgt": "sergeant",
    "Rev": "reverend", "Hon": "honorable", "Gov": "governor", "Sen": "senator", "Rep": "representative",
    "Mt": "mount", "Ft": "fort", "Jr": "junior", "Sr": "senior", "St": "saint"}
_POINTED = {
    "co": "company", "inc": "incorporated", "ltd": "limited", "corp": "corporation", "dept": "department",
    "esq": "esquire", "etc": "et cetera", "approx": "approximately", "est": "established", "vol": "volume",
    "no": "number", "nos": "numbers", "fig": "figure", "figs": "figures", "p": "page", "pp": "pages", "ch": "chapter",
    "ave": "avenue", "blvd": "boulevard", "rd": "road", "hwy": "highway", "ln": "lane", "ct": "court",
    "sec": "section", "art": "article", "jan": "january", "feb": "february", "mar": "march", "apr": "april",
    "jun": "june", "jul": "july", "aug": "august", "sep": "september", "sept": "september", "oct": "october",
    "nov": "november", "dec": "december", "assn": "association", "univ": "university", "govt": "government",
    "intl": "international", "min": "minutes", "max": "maximum", "misc": "miscellaneous", "tel": "telephone",
    "ed": "editor", "eds": "editors", "trans": "translated", "e.g": "for example", "i.e": "that is",
    "apt": "apartment", "bldg": "building", "temp": "temperature", "avg": "average", "qty": "quantity",
    "ext": "extension", "incl": "including", "excl": "excluding", "asst": "assistant", "natl": "national",
    "cf": "compare", "viz": "namely", "ca": "circa", "al": "al"}
ABBREVIATIONS = {
    **{f"{word}.": said for word,
       said in _POINTED.items() if word not in ("min", "ed", "trans", "al", "art", "sec", "ca")},
    **{f"{word}.": said for word, said in _TITLES.items()},
    **{f"{word.lower()}.": said for word, said in _TITLES.items()
                                                               if word in ("Mr", "Mrs", "Dr", "Ms")},
    **{f"{word.upper()}.": said for word, said in _TITLES.items() if word in ("Mr", "Mrs", "Dr", "Ms")},
    **{word: said for word, said in _TITLES.items()}, "vs": "versus", "vs.": "versus", "etc": "et cetera",
    "Ave": "avenue", "Blvd": "boulevard", "Hwy": "highway", "Inc": "incorporated", "Ltd": "limited",
    "Corp": "corporation", "Dept": "department", "WWI": "World War one", "WWII": "World War two",
    "w/o": "without", "w/": "with", "eg.": "for example", "ie.": "that is", "a.k.a.": "also known as",
    "p.a.": "per annum",
    "aka": "also known as", "asap": "as soon as possible", "PhD": "\ue000PH \ue000D", "Ph.D.": "\ue000PH \ue000D",
    "Vol": "volume", "No.": "number", "Fig": "figure", "Sec.": "section", "Art.": "article"}
STREETS = {
    "st": "Street", "ave": "Avenue", "rd": "Road", "blvd": "Boulevard", "dr": "Drive", "ln": "Lane", "ct": "Court",
    "hwy": "Highway", "expy": "Expressway", "pkwy": "Parkway", "sq": "Square", "pl": "Place", "ter": "Terrace",
    "street": "Street", "avenue": "Avenue", "road": "Road", "boulevard": "Boulevard", "drive": "Drive", "lane": "Lane",
    "highway": "Highway", "fwy": "Freeway", "cir": "Circle"}
STATES = dict(pair.split(":") for pair in (
    "AL:Alabama,AK:Alaska,AZ:Arizona,AR:Arkansas,CA:California,CO:Colorado,CT:Connecticut,DE:Delaware,FL:Florida,"
    "GA:Georgia,HI:Hawaii,ID:Idaho,IL:Illinois,IN:Indiana,IA:Iowa,KS:Kansas,KY:Kentucky,LA:Louisiana,ME:Maine,"
    "MD:Maryland,MA:Massachusetts,MI:Michigan,MN:Minnesota,MS:Mississippi,MO:Missouri,MT:Montana,NE:Nebraska,"
    "NV:Nevada,NH:New Hampshire,NJ:New Jersey,NM:New Mexico,NY:New York,NC:North Carolina,ND:North Dakota,OH:Ohio,"
    "OK:Oklahoma,OR:Oregon,PA:Pennsylvania,RI:Rhode Island,SC:South Carolina,SD:South Dakota,TN:Tennessee,TX:Texas,"
    "UT:Utah,VT:Vermont,VA:Virginia,WA:Washington,WV:West Virginia,WI:Wisconsin,WY:Wyoming,DC:D C").split(","))
NUMBER_NOUNS = frozenset((
    "war chapter part act scene volume vol book section phase type class level episode season round title article "
    "appendix figure table stage grade bowl rocky apollo gemini division tier step lesson unit psalm canto stanza "
    "verse page mark model plan area category group world quadrant factor paragraph exhibit schedule annex form rule "
    "amendment sonata symphony movement saturn").split())
NAME_HEADS = frozenset((
    "king queen pope emperor tsar czar prince duke henry charles edward george william james richard elizabeth mary "
    "john paul pius benedict louis philip frederick peter catherine alexander nicholas napoleon ferdinand francis leo "
    "gregory innocent clement urban julius ramses ptolemy darius xerxes edmund ethelred harold stephen robert david "
    "malcolm juan carlos felipe alfonso umberto victor emmanuel leopold albert christian gustav erik olaf haakon "
    "constantine justinian theodosius boniface sixtus otto conrad rudolf maximilian joseph ivan vladimir mehmed murad "
    "selim suleiman ahmed mahmud abdul thutmose amenhotep wilhelm friedrich heinrich karl franz ludwig henri philippe "
    "elisabeth margaret margrethe anne").split()) - {"malcolm"}
SPELLED_WORDS = frozenset((
    "USA UK EU UN FBI CIA IBM AI IQ ID CEO UFO NYC NGO UAE IOU VAT EPA CEO CFO CTO CIO HR PR TV PC DVD CD USB ATM API "
    "URL GPS DNA RNA HIV MRI MIT UCLA USC NY BBC CNN NBC ABC CBS ESPN HBO NFL NBA MLB NHL IRA IRS DOJ DOE DHS DIY "
    "EST FAQ FYI GDP GNP AKA ETA IPO ISP LED LCD LLC MBA BA MA PHD RSVP SUV TBA UPS USPS VIP WWW AC DC AD BC AM PM "
    "APA ACLU AFL AMA AOL BMI BMW CAA CGI DOA DOB EEG EKG EMI EPA ESL ESA FAA FCC FDA FDIC GED GOP GUI "
    "ICU IEEE IMF IVF JFK LSU LAPD NYPD MSNBC NAACP NSA NRA OECD OPM OSU PBS POW QA RAF SEO TSA UI UX UV USD VHS XML "
    "HTML HTTP HTTPS CSS SQL PHP PDF JPG FTP SMS SOS AOK EUR GBP IP IT IBAN SSN ISBN AIG AEG EDF EMS EMT DUI ETF "
    "IOS IRL IUD IMDB MIA OCD OED OJ PO SAS SOE TOC UHF URI UAV USAF USMC USSR YMCA YWCA AAA "
    "AARP").split())
SPOKEN_WORDS = frozenset((
    "NASA NATO AIDS LASER OPEC PIN SIM RADAR SONAR SCUBA UNICEF UNESCO FEMA NAFTA ASEAN NASDAQ SWAT RAM ROM LAN WAN "
    "GIF JPEG BIOS COVID SARS MERS FIFA UEFA NAVY IKEA CERN DARPA OSHA HUD SALT START POTUS SCOTUS FLOTUS TED YOLO "
    "LOL MOMA OPEC PETA SAG BAFTA EGOT GAAP HIPAA IMAX INTERPOL ISIS LIDAR MADD MASH NIMBY NORAD PAC SAT SETI SPAM "
    "TASER WASP ZIP CAPTCHA ASCII ROTC BRICS DREAM GITMO NICU CUDA ASAP BASIC COBOL FORTRAN LISP UNIX TOEFL").split())
CAPITAL_WORDS = frozenset((
    "A I AN AND ANY ARE AS AT BAD BE BIG BOY BUT BUY BY BYE CAN CAR CAT CUT DAY DID DO DOG END EAT FAR FEW FOR FUN "
    "GET GO GOD GOT GUN HAD HAS HE HER HEY HI HIM HIS HOT HOW IF IN IS ITS JOB JOY KEY KID LET LIE LOT LOW MAD MAN "
    "MAY ME MEN MY NAY NEW NO NOR NOT NOW ODD OF OFF OH OLD ON ONE OR OUR OUT OWN PAY PUT RED RUN SAD SAY SEA SEE SET "
    "SHE SIR SIT SIX SKY SO SON SUN TAX TEA TEN THE TOO TOP TRY TWO UP USE VERY WAR WAS WAY WE WET WIN WON YES YET "
    "YOU TO ALL THAT THIS WITH FROM HAVE WILL YOUR THEY BEEN MUST STOP HELP HAUL CALL FLOWERS OPEN STAR GOOD LOVE ART "
    "ADD AGE AGO AID AIM AIR ARM ASK BAG BAR BED BET BIT BOX CUP DIE DRY EAR EGG EYE FAN FAT FIT FIX FLY FOX GAS GUY "
    "HAT HIT ICE ILL INK LAW LAY LEG LIP MAP MIX MOM DAD MUD NET OIL PAN PEN PET PIE PIG POT RAT RAW ROW SEX SHY SKI "
    "TIE TIP TOE TOY VAN WHO WHY YEAH WOW HA AH AW UH UM ER OW OOH AHA HMM HUH NAH SH SHH PST DR MR MS ST JR SR MRS "
    "VS").split())
