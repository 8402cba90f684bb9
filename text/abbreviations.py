"""What a splitter of sentences has to know about each language: its abbreviations, and how its sentences begin.

    TABLES["en"].never              # {"mr", "mrs", ...}: lower case, without the last point
    TABLES["de"].ordinals           # True: "3." is the third
"""

from __future__ import annotations

from typing import NamedTuple

# Languages that write "3." for the third.
ORDINAL_LANGUAGES = frozenset("de lb nds da nb no nn fi et lv cs sk pl hu hr sl sr bs mk tr az is fo eu".split())


class Rules(NamedTuple):
    """Of one language; words in lower case, abbreviations without their last point."""

    never: frozenset[str]  # titles and the like: their point never ends a sentence
    before_number: frozenset[str]  # do not end one before a number
    before_capital: frozenset[str]  # end one if a capital follows
    perhaps: frozenset[str]  # end one if a word follows with which sentences begin
    starters: frozenset[str]  # such words
    conjunctions: frozenset[str]  # before them a long sentence may be cut
    endings: tuple[str, ...] = ()  # words that end so are abbreviations of the kind `perhaps`
    ordinals: bool = False  # "3." is the third
    i_is_a_word: bool = False  # a single I is not an initial


def _rules(never: str, before_number: str, before_capital: str, perhaps: str, starters: str, conjunctions: str,
           endings: tuple[str, ...] = (), ordinals: bool = False, i_is_a_word: bool = False) -> Rules:
    words = (frozenset(group.split()) for group in
             (never, before_number, before_capital, perhaps, starters, conjunctions))
    return Rules(*words, endings, ordinals, i_is_a_word)


TABLES = {
    "en": _rules(
        "mr mrs ms mx messrs dr drs prof rev hon sen rep gov gen col maj capt cpt cmdr lt sgt cpl pvt adm pres supt "
        "mme mlle e.g i.e eg ie vs cf viz approx incl esp resp ca",
        "no nos p pp vol vols fig figs sec ch chap art eq para tab n°",
        "etc",
        "st mt ft ste inc ltd co corp bros jr sr esq al a.m p.m u.s u.s.a u.k u.n e.u d.c b.c a.d ph.d m.d b.a m.a "
        "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri ave blvd rd hwy dept univ "
        "assn est cont oz lb lbs mi hr hrs min ed eds trans",
        "a after all also although an and another are as at be because before both but by can could did do does "
        "during each even every for from had has have he her here his how however i if in is it its just last let "
        "like many maybe meanwhile more most my neither never next no nobody none nor not now of on once one only or "
        "our people perhaps please several she should since so some somebody someone soon still such that the their "
        "then there these they this those though through thus to today together tomorrow too two under until was we "
        "were what when where which while who whose why with without yes yesterday yet you your",
        "and or but because that which who when while where although though if than so as for nor yet until since "
        "with",
        i_is_a_word=True),
    "de": _rules(
        "dr prof hr hrn fr frl dipl ing med phil jur rer nat hon bzw ca vgl sog z.b d.h u.u i.d.r i.a m.e s.o "
        "s.u z.t z.zt z.hd evtl ggf gegr geb gest inkl exkl zzgl abzgl insb insbes bspw frz engl dt lat "
        "griech ev kath allg eigtl gem lt tel hl einschl mind entspr urspr",
        "nr nrn s bd bde abb kap abs art ziff tab aufl jg fig rn rdnr",
        "usw etc usf",
        "st str u.a o.ä u.ä o.g d.j d.ä a.d i.r jan feb mär apr jun jul aug sep sept okt nov dez mio mrd tsd std sek "
        "jh jhd chr v.chr n.chr gmbh co jr sr bzgl mag max min",
        "aber alle allerdings als also am an andere auch auf aus außerdem bei beide beim bis da dabei dafür daher "
        "damals damit danach dann daran darauf darum das dass dem den denn dennoch der des deshalb die dies diese "
        "dieser dieses doch dort du durch ein eine einem einen einer eines einige er erst es euer für gegen gestern "
        "hat heute hier hinter ich ihr ihre im immer in ist ja jede jeder jedes jedoch jetzt kein keine man manche "
        "mein meine mit morgen nach nachdem nein nicht nie niemand noch nun nur ob obwohl oder ohne sein seine seit "
        "seitdem sie sind so sobald solche sondern später trotzdem über um und uns unser unter viele vielleicht vom "
        "von vor während wann war waren warum was weil welche wenn wer wie wieder wieso wir wo wobei zu zuerst zum "
        "zur zwar zwischen",
        "und oder aber weil dass sondern denn obwohl während wenn als damit bis der die das",
        endings=("str",), ordinals=True),
    "fr": _rules(
        "m mm mme mmes mlle mlles dr drs pr prof mgr me st ste c.-à-d c.à.d p.ex ex cf env av apr boul vs adj",
        "no nos n° n art p pp vol chap fig t éd pl",
        "etc",
        "j.-c jr inc ltée cie s.a s.a.r.l janv févr juil sept oct nov déc tél hab",
        "à ainsi alors après au aucun aussi autre autres aux avant avec bien c ce ceci cela celle celui ces cet "
        "cette chaque chez comme comment d dans de depuis des deux donc du elle elles en encore enfin ensuite entre "
        "est et il ils j je jamais l la le les leur leurs lors lorsque lui ma mais même mes moi mon n ne ni non nos "
        "notre nous on or où oui par parce pendant personne plus plusieurs pour pourquoi pourtant puis qu quand que "
        "quel quelle qui quoi s sa sans se selon ses si sinon son sous sur ta te tes toi ton tous tout toute "
        "toutefois tu un une voici voilà vos votre vous y",
        "et ou mais car donc ni or que qui dont où parce lorsque quand si puisque comme"),
    "es": _rules(
        "sr sra srta sres sras dr dra dres d dña prof profa lic ing arq gral cnel tte mons ee p.ej ej av avda aprox "
        "ntra sto sta vs",
        "n.º n° núm no p pág págs pp vol art cap fig tomo",
        "etc",
        "uu ee.uu a.c d.c a.m p.m cía s.a s.l ud uds vd vds jr tel km",
        "a ahora al algunos algunas ante antes aquel así aún aunque bajo cada como con cual cuando cuál cuándo cómo "
        "de del desde después donde dos durante e el él ella ellas ellos en entonces era es esa ese eso esta estas "
        "este esto estos está están fue ha hay hoy la las le les lo los luego más mas me mi mientras mis mucho "
        "muchos nada nadie ni no nos nosotros nuestra nuestro nunca o otra otro para pero poco por porque pues que "
        "qué quién se si sí sin sobre su sus también tampoco tras tu tú un una unas uno unos usted ya y yo",
        "y e o u pero sino porque que aunque cuando donde si como mientras pues"),
    "it": _rules(
        "sig sigg sig.ra sig.na dott dott.ssa prof prof.ssa ing avv arch on geom rag s ss mons es p.es cfr ca vs egr "
        "gent",
        "n nn no n° art pag pagg p pp cap vol fig tab",
        "ecc etc",
        "a.c d.c s.p.a s.r.l jr gen feb apr mag giu lug ago sett ott nov dic tel",
        "a ad adesso ai al alla alle allora altri anche ancora appena c che chi ci ciò come con così cosa cui da dal "
        "dalla dei del della delle di dopo dove due dunque durante e è ecco ed egli era erano essa esse essi fu già "
        "gli ha hanno i il in infatti intanto invece io l la le lei lo loro lui ma mai me mentre mi mia mio molti "
        "nel nella nessuno no noi non nostra nostro o ogni oggi oppure ora per perché però più poi poiché prima "
        "qualche quale quando quella quelli quello questa queste questi questo qui quindi se secondo sei si sì solo "
        "sono sotto su sua sue sul sulla suo suoi tra tu tutta tutte tutti tutto un una uno vi voi",
        "e ed o oppure ma però perché che quando dove mentre se come anche quindi"),
    "pt": _rules(
        "sr sra srta srs dr dra drs prof profa eng exmo exma d dona av p.ex ex aprox sto sta vs pe",
        "n nº n.º n° no pág págs p pp art cap vol fig",
        "etc",
        "ltda cia a.c d.c s.a jr tel jan fev mar abr mai jun jul ago set out nov dez",
        "a agora ainda ao aos após apesar aquela aquele aqui as assim até cada com como contudo da das de depois "
        "desde do dois dos durante e é ela elas ele eles em enquanto então entre era essa esse esta está este estes "
        "eu foi há hoje isso isto já lá logo mais mas me mesmo meu minha muito muitos na nada não nas nem nenhum "
        "ninguém no nos nós nossa nosso num nunca o onde os ou outra outro para pela pelo pois por porém porque "
        "portanto qual quando quanto que quem são se sem sempre ser seu seus sim sob sobre só sua suas também talvez "
        "tem toda todas todo todos tu tudo um uma umas uns você vocês",
        "e ou mas porque que quando onde se como enquanto embora pois porém"),
    "nl": _rules(
        "dhr mevr mw mr drs dr ir ing prof ds bijv bv m.b.t t.a.v d.w.z i.p.v vgl zgn ca resp incl excl "
        "m.a.w n.a.v t.o.v i.v.m o.l.v z.g.a.n nl vs st",
        "nr nrs blz p pag art hfst afb fig par",
        "enz etc",
        "o.a e.d e.a jr sr v.chr n.chr jan feb mrt apr jun jul aug sep sept okt nov dec tel mln mld max min",
        "aan al alle als alleen ook bij daar daarna daarom dan dat de deze die dit door dus een eerst elke en er "
        "geen haar had hebben heeft het hier hij hoe hun ik in is ja je jij jullie kan maar meer men met mijn na "
        "naar nadat nee niemand niet niets nog nooit nu of om omdat onder ons onze ook op over sinds soms te tegen "
        "ten terwijl toch toen tot u uit uw van vanaf vandaag veel volgens voor vooral waar waarom wanneer want was "
        "wat we welke wie wij worden zal ze zelfs zij zijn zo zoals zodra zonder",
        "en of maar want omdat dat die als terwijl toen waar hoewel zodat"),
    "ru": _rules(
        "т.е т.к т.н т.ч т.о г-н г-жа проф акад доц ул просп пер пл наб корп кв обл р-н см ср напр тел св ред изд",
        "стр с гл рис табл п пп ст №",
        "т.д т.п др пр",
        "г гг в вв н.э до.н.э руб коп тыс млн млрд мин сек ч им",
        "а без более был была были было в вам вас ведь весь во вот все всё вы где да даже для до его ее её если есть "
        "ещё еще же за здесь и из или им их к как какой когда кого кто ли лишь мне многие может можно мой мы на над "
        "надо нам нас не него нет ни никто но ну о об обе один однако он она они оно от перед по под после потом "
        "потому почему при про с сам себя сегодня сейчас со так также такой там твой тебя тем теперь то тогда того "
        "тоже только том тот три ты у уже хотя через что чтобы эта эти это этот я",
        "и или но а что который которая которые потому если когда где чтобы хотя как"),
    "pl": _rules(
        "prof inż hab ks św ul al os np tzn tj m.in tzw gen płk kpt mjr dyr red",
        "nr s str t rys tab art ust pkt poz",
        "itd itp etc",
        "r w godz tys mln mld zł ww jw im ok",
        "a aby ale albo bez bo był była było były być chociaż choć co czy dla dlaczego dlatego do dziś gdy gdyby "
        "gdzie i ich ile inni ja jak jakie jako je jeden jednak jego jej jest jestem jeszcze jeśli już kiedy kto "
        "która które który ma mam mi mnie może można mój my na nad nie nic nigdy nikt o od on ona one oni ono oraz "
        "po pod podczas potem ponieważ przed przez przy są się skąd tak także tam te teraz ten też to tu tutaj ty "
        "tylko tym w we więc wszyscy wszystko wtedy z za zawsze ze że",
        "i oraz lub albo ale a bo że który która które gdy jeśli ponieważ więc", ordinals=True),
    "sv": _rules(
        "dr prof t.ex bl.a d.v.s dvs s.k ca kl jfr resp ev inkl exkl fr.o.m t.o.m",
        "nr s sid kap art fig",
        "etc osv m.m m.fl o.s.v",
        "f.kr e.kr st jan feb apr jun jul aug sep sept okt nov dec tel",
        "alla allt att av bara de den denna dessa det detta dock du där därför efter eller en ett från för han har "
        "hon hur här i ingen inte ja jag kan man med medan men min många nej ni när nu och också om på sedan sin ska "
        "som så till under upp ut utan vad var varför varje vem vi vid än är även åt",
        "och eller men att som därför när om medan eftersom så"),
}
