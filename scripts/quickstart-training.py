#!/usr/bin/env python3
"""Makes the facts that the quickstart's model is finetuned on, and those that hold it to account.

    scripts/quickstart-training.py LM-KBC-2022 LM-KBC-2024

The arguments are the folders of the two data sets. Written are train.csv, held-out.csv and
learning.csv (the entities that candidates.csv lacks) in pipelines/quickstart, beside the tables of
scripts/quickstart-data.py, from whose gold subjects all others are kept apart. Sources and licence
stand in pipelines/quickstart/README.md; scripts/check-disjoint.py checks what was written.
"""

import csv
import hashlib
import importlib.util
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "pipelines/quickstart"
WRITTEN = ROOT / "pipelines/frequency-shock/facts"
# Where an entity's number in Wikidata is not known.
MINTED = "https://w3id.org/kgbuild/entity/"

# One of so many subjects is held out.
EVERY = 3

# Country, capital, continent, official languages: the countries that are not in the gold facts.
# Nothing stands where the answer is disputed or is no candidate.
COUNTRIES = """\
Japan|Tokyo|Asia|Japanese
Norway|Oslo|Europe|Norwegian
Hungary|Budapest|Europe|Hungarian
Spain|Madrid|Europe|Spanish
United States|Washington, D.C.|North America|English
Lithuania|Vilnius|Europe|Lithuanian
Sweden|Stockholm|Europe|Swedish
Italy|Rome|Europe|Italian
Switzerland|Bern|Europe|
Austria|Vienna|Europe|German
Turkey|Ankara||Turkish
Portugal|Lisbon|Europe|Portuguese
Egypt|Cairo||Arabic
Mexico|Mexico City|North America|Spanish
Ethiopia|Addis Ababa|Africa|
Ghana|Accra|Africa|English
France|Paris|Europe|French
United Kingdom|London|Europe|English
China|Beijing|Asia|Chinese
Brazil|Brasília|South America|Portuguese
Russia|Moscow||Russian
Iceland|Reykjavík|Europe|Icelandic
Czech Republic|Prague|Europe|Czech
Slovakia|Bratislava|Europe|Slovak
Slovenia|Ljubljana|Europe|Slovene
Moldova|Chișinău|Europe|Romanian
Bulgaria|Sofia|Europe|Bulgarian
North Macedonia|Skopje|Europe|Albanian, Macedonian
Azerbaijan|Baku||Azerbaijani
Andorra|Andorra la Vella|Europe|Catalan
Cyprus|Nicosia||Greek, Turkish
Georgia|Tbilisi||Georgian
Kazakhstan|Astana||Kazakh, Russian
Monaco||Europe|French
Montenegro|Podgorica|Europe|
Vatican City||Europe|
San Marino||Europe|Italian
Barbados||North America|English
Indonesia|Jakarta|Asia|Indonesian
South Africa||Africa|
Algeria|Algiers|Africa|
Uzbekistan|Tashkent|Asia|Uzbek
Chile|Santiago|South America|Spanish
Singapore||Asia|
Liechtenstein|Vaduz|Europe|German
Bahrain|Manama|Asia|Arabic
Armenia|Yerevan||Armenian
Peru|Lima|South America|
East Timor|Dili|Asia|
Chad|N'Djamena|Africa|Arabic, French
India|New Delhi|Asia|English, Hindi
Tuvalu||Oceania|
Tonga||Oceania|
Samoa|Apia|Oceania|
Solomon Islands|Honiara|Oceania|English
Vanuatu||Oceania|
Papua New Guinea|Port Moresby|Oceania|
Palau||Oceania|
Nauru||Oceania|
Marshall Islands||Oceania|
Kiribati||Oceania|
Fiji|Suva|Oceania|
Ecuador|Quito|South America|Spanish
Bolivia||South America|
Trinidad and Tobago||North America|English
Saint Vincent and the Grenadines||North America|English
Saint Lucia||North America|English
Saint Kitts and Nevis||North America|English
Jamaica|Kingston|North America|English
Grenada||North America|English
Guatemala|Guatemala City|North America|Spanish
Antigua and Barbuda||North America|English
Honduras|Tegucigalpa|North America|Spanish
Dominica||North America|English
Haiti|Port-au-Prince|North America|French, Haitian Creole
El Salvador|San Salvador|North America|Spanish
Iran|Tehran|Asia|Persian
Israel||Asia|Hebrew
Panama|Panama City|North America|Spanish
Yemen||Asia|Arabic
Kyrgyzstan|Bishkek|Asia|Kyrgyz, Russian
Kuwait|Kuwait City|Asia|Arabic
Laos|Vientiane|Asia|Lao
Maldives|Malé|Asia|Dhivehi
Myanmar||Asia|Burmese
Sri Lanka||Asia|Sinhala, Tamil
Tajikistan|Dushanbe|Asia|Tajik
Taiwan|Taipei|Asia|
Thailand|Bangkok|Asia|Thai
Turkmenistan|Ashgabat|Asia|Turkmen
United Arab Emirates|Abu Dhabi|Asia|Arabic
South Korea|Seoul|Asia|Korean
Afghanistan|Kabul|Asia|
Mali|Bamako|Africa|
Angola|Luanda|Africa|Portuguese
Brunei|Bandar Seri Begawan|Asia|Malay
Tanzania|Dodoma|Africa|English, Swahili
Central African Republic|Bangui|Africa|
Togo|Lomé|Africa|French
Zambia|Lusaka|Africa|English
Zimbabwe|Harare|Africa|
South Sudan||Africa|English
Benin||Africa|French
Burkina Faso|Ouagadougou|Africa|
Burundi||Africa|
Comoros||Africa|
Republic of the Congo|Brazzaville|Africa|French
Democratic Republic of the Congo|Kinshasa|Africa|French
Djibouti||Africa|Arabic, French
Equatorial Guinea||Africa|French, Portuguese, Spanish
Eritrea||Africa|
Gambia|Banjul|Africa|English
Guinea-Bissau|Bissau|Africa|Portuguese
Ivory Coast|Yamoussoukro|Africa|French
Cameroon|Yaoundé|Africa|English, French
Cape Verde||Africa|Portuguese
Lesotho|Maseru|Africa|
Libya|Tripoli|Africa|Arabic
Madagascar|Antananarivo|Africa|French, Malagasy
Malawi|Lilongwe|Africa|
Mauritius|Port Louis|Africa|
Morocco|Rabat|Africa|
Mozambique|Maputo|Africa|Portuguese
Niger|Niamey|Africa|
Rwanda|Kigali|Africa|English, French, Kinyarwanda, Swahili
São Tomé and Príncipe||Africa|Portuguese
Senegal|Dakar|Africa|French
Seychelles|Victoria|Africa|
Somalia|Mogadishu|Africa|Arabic, Somali
Sudan|Khartoum|Africa|Arabic, English
Eswatini||Africa|
Kosovo||Europe|Albanian, Serbian
Palestine||Asia|Arabic"""

# Neighbours over land of the countries that LM-KBC 2024 does not list.
BORDERS = """\
Angola: Democratic Republic of the Congo, Namibia, Republic of the Congo, Zambia
Austria: Czech Republic, Germany, Hungary, Italy, Liechtenstein, Slovakia, Slovenia, Switzerland
Azerbaijan: Armenia, Georgia, Iran, Russia, Turkey
Bahrain:
Benin: Burkina Faso, Niger, Nigeria, Togo
Brazil: Argentina, Bolivia, Colombia, France, Guyana, Paraguay, Peru, Suriname, Uruguay, Venezuela
Bulgaria: Greece, North Macedonia, Romania, Serbia, Turkey
Burundi: Democratic Republic of the Congo, Rwanda, Tanzania
Cameroon: Central African Republic, Chad, Equatorial Guinea, Gabon, Nigeria, Republic of the Congo
Chad: Cameroon, Central African Republic, Libya, Niger, Nigeria, Sudan
China: Afghanistan, Bhutan, India, Kazakhstan, Kyrgyzstan, Laos, Mongolia, Myanmar, Nepal, North Korea, Pakistan, Russia, Tajikistan, Vietnam
Czech Republic: Austria, Germany, Poland, Slovakia
Democratic Republic of the Congo: Angola, Burundi, Central African Republic, Republic of the Congo, Rwanda, South Sudan, Tanzania, Uganda, Zambia
Egypt: Israel, Libya, Palestine, Sudan
El Salvador: Guatemala, Honduras
France: Andorra, Belgium, Brazil, Germany, Italy, Luxembourg, Monaco, Spain, Suriname, Switzerland
Ghana: Burkina Faso, Ivory Coast, Togo
Guatemala: Belize, El Salvador, Honduras, Mexico
Honduras: El Salvador, Guatemala, Nicaragua
Hungary: Austria, Croatia, Romania, Serbia, Slovakia, Slovenia, Ukraine
Iceland:
India: Bangladesh, Bhutan, China, Myanmar, Nepal, Pakistan
Iran: Afghanistan, Armenia, Azerbaijan, Iraq, Pakistan, Turkey, Turkmenistan
Italy: Austria, France, San Marino, Slovenia, Switzerland, Vatican City
Ivory Coast: Burkina Faso, Ghana, Guinea, Liberia, Mali
Jamaica:
Japan:
Kosovo: Albania, Montenegro, North Macedonia, Serbia
Kuwait: Iraq, Saudi Arabia
Kyrgyzstan: China, Kazakhstan, Tajikistan, Uzbekistan
Laos: Cambodia, China, Myanmar, Thailand, Vietnam
Libya: Algeria, Chad, Egypt, Niger, Sudan, Tunisia
Lithuania: Belarus, Latvia, Poland, Russia
Madagascar:
Mali: Algeria, Burkina Faso, Guinea, Ivory Coast, Mauritania, Niger, Senegal
Montenegro: Albania, Bosnia and Herzegovina, Croatia, Kosovo, Serbia
Mozambique: Eswatini, Malawi, South Africa, Tanzania, Zambia, Zimbabwe
Nauru:
North Macedonia: Albania, Bulgaria, Greece, Kosovo, Serbia
Palau:
Papua New Guinea: Indonesia
Peru: Bolivia, Brazil, Chile, Colombia, Ecuador
Portugal: Spain
Rwanda: Burundi, Democratic Republic of the Congo, Tanzania, Uganda
Saint Kitts and Nevis:
San Marino: Italy
Senegal: Gambia, Guinea, Guinea-Bissau, Mali, Mauritania
Slovakia: Austria, Czech Republic, Hungary, Poland, Ukraine
Slovenia: Austria, Croatia, Hungary, Italy
Somalia: Djibouti, Ethiopia, Kenya
South Africa: Botswana, Eswatini, Lesotho, Mozambique, Namibia, Zimbabwe
South Korea: North Korea
South Sudan: Central African Republic, Democratic Republic of the Congo, Ethiopia, Kenya, Sudan, Uganda
Sri Lanka:
Sudan: Central African Republic, Chad, Egypt, Eritrea, Ethiopia, Libya, South Sudan
Sweden: Finland, Norway
Switzerland: Austria, France, Germany, Italy, Liechtenstein
Taiwan:
Thailand: Cambodia, Laos, Malaysia, Myanmar
Trinidad and Tobago:
United Kingdom: Ireland
United States: Canada, Mexico
Yemen: Oman, Saudi Arabia
Zambia: Angola, Botswana, Democratic Republic of the Congo, Malawi, Mozambique, Namibia, Tanzania, Zimbabwe"""

# Rivers that LM-KBC 2022 spells otherwise.
RIVER_LABELS = {
    "Madeira rivel": "Madeira River", "Rio grande": "Rio Grande", "Congo": "Congo River",
    "São francisco river": "São Francisco River", "Red river of the south": "Red River of the South",
    "Great whale river": "Great Whale River",
}
# Languages that LM-KBC 2022 names otherwise.
LANGUAGES = {"Dhivehi": "maldivian"}


def quickstart_data():
    """The script that made the quickstart's tables, whose name is no module's."""
    spec = importlib.util.spec_from_file_location("data", ROOT / "scripts/quickstart-data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DATA = quickstart_data()
ENTITY, PROPERTY = DATA.ENTITY, DATA.PROPERTY


def table(name):
    with open(QUICKSTART / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(relation):
    """Facts of pipelines/frequency-shock: subject and object labels."""
    lines = (WRITTEN / f"{relation}.jsonl").read_text("utf-8").splitlines()
    return [(fact["sub_label"], fact["obj_label"]) for fact in map(json.loads, lines)]


def main(old_folder, new_folder):
    old, new = DATA.read(old_folder), DATA.read(new_folder)
    facts = Facts()
    add_cities(facts)
    add_countries(facts, old, new)
    add_rivers(facts, old, new)
    add_persons(facts, new)
    facts.write()


class Facts:
    """What is known of subjects that are not in the gold facts."""

    def __init__(self):
        subjects = table("subjects.csv")
        self.gold_labels = {row["label"].casefold() for row in subjects}
        self.gold_iris = {row["iri"] for row in subjects}
        self.gold = {(row["subject"], row["relation"], row["object"]) for row in table("gold.csv")}
        self.candidates = {}
        for row in table("candidates.csv"):
            classes = [iri.removeprefix(ENTITY) for iri in row["types"].split("|")]
            for cls in classes:
                self.candidates[(cls, row["label"])] = row["iri"]
        self.known = {iri for iri in self.candidates.values()}
        # Label and class of the entities that candidates.csv lacks.
        self.entities = {}
        # (relation, subject) to objects, all IRIs; the subjects of a class in the order of a hash.
        self.answers = {}
        self.subjects = {}

    def candidate(self, label, *classes):
        """The IRI of a candidate of one of the classes; nothing if there is none."""
        return next((self.candidates[(c, label)] for c in classes if (c, label) in self.candidates),
                    None)

    def subject(self, iri, label, cls):
        """Nothing if it is a gold subject or already known by another IRI."""
        iri = iri or MINTED + label.replace(" ", "_").replace('"', "")
        if iri in self.gold_iris or label.casefold() in self.gold_labels:
            return None
        of_class = self.subjects.setdefault(cls, {})
        if of_class.setdefault(label, iri) != iri:
            return of_class[label]
        if iri not in self.known:
            self.entities[iri] = (label, cls)
        return iri

    def fact(self, subject, relation, objects):
        self.answers[(relation, subject)] = objects

    def held_out(self):
        """Every third subject of a class, in the order of a hash."""
        held_out = set()
        for of_class in self.subjects.values():
            order = sorted(of_class, key=lambda label: hashlib.sha256(label.encode()).digest())
            held_out.update(of_class[label] for label in order[::EVERY])
        return held_out

    def write(self):
        held_out, rows = self.held_out(), {True: [], False: []}
        for (relation, subject), objects in self.answers.items():
            is_held_out = subject in held_out
            if objects or is_held_out or relation == "P20":
                of_subject = [(subject, PROPERTY + relation, o) for o in objects or [""]]
                rows[is_held_out or not objects] += of_subject
        # Borders are mutual: what is asked later must not be told from the other side.
        asked = self.gold | set(rows[True])
        rows[False] = [(s, r, o) for s, r, o in rows[False]
                       if not (r == PROPERTY + "P47" and (o, r, s) in asked)]
        for name, is_held_out in [("train.csv", False), ("held-out.csv", True)]:
            with open(QUICKSTART / name, "w", encoding="utf-8", newline="") as file:
                out = csv.writer(file, lineterminator="\n")
                out.writerow(["subject", "relation", "object"])
                out.writerows(sorted(rows[is_held_out], key=lambda f: (number(f[1]), f[0], f[2])))
        with open(QUICKSTART / "learning.csv", "w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["iri", "label", "aliases", "types"])
            used = {row[0] for both in rows.values() for row in both}
            for iri, (label, cls) in sorted(self.entities.items()):
                if iri in used:
                    out.writerow([iri, label, "", ENTITY + cls])
        for relation in sorted({relation for relation, _ in self.answers}, key=number):
            mine = {h: [f for f in rows[h] if f[1] == PROPERTY + relation] for h in rows}
            print(f"{relation}: {len({f[0] for f in mine[False]})} questions and",
                  f"{len(mine[False])} facts to train, {len({f[0] for f in mine[True]})} questions",
                  f"held out, {sum(not f[2] for f in mine[True])} of them without an object")


def number(relation):
    return int(relation.rpartition("P")[2])


def add_cities(facts):
    """P17, country. A capital would tell another relation's answer."""
    for label, country in written("P17"):
        DATA.check(label not in DATA.CAPITALS, f"{label} is a capital")
        subject = facts.subject(None, label, DATA.CITY)
        if subject:
            facts.fact(subject, "P17", [facts.candidate(country, DATA.COUNTRY)])


def add_countries(facts, old, new):
    """P36, capital; P30, continent; P37, official language; P47, shares border with."""
    labels, names = DATA.countries_of(old, new)
    languages = {
        f"Q{line['WikidataID']}": {alias for object_ in line["ObjectEntities"] for alias in object_}
        for line in old if line["Relation"] == "CountryOfficialLanguage"
    }
    borders = {
        ENTITY + line["SubjectEntityID"]: [ENTITY + qid for qid in line["ObjectEntitiesID"]]
        for line in new if line["Relation"] == "countryLandBordersCountry"
    }
    for line in BORDERS.splitlines():
        label, neighbours = line.split(":")
        iri, neighbours = facts.candidate(label, DATA.COUNTRY), neighbours.strip()
        DATA.check(iri not in borders, f"LM-KBC 2024 has the neighbours of {label}")
        borders[iri] = [ENTITY + names[n.lower()] for n in neighbours.split(", ") if n]
    for line in COUNTRIES.splitlines():
        label, capital, continent, spoken = line.split("|")
        iri = facts.candidate(label, DATA.COUNTRY)
        subject = facts.subject(iri, label, DATA.COUNTRY)
        DATA.check(subject, f"{label} is a gold subject")
        if capital:
            facts.fact(subject, "P36", [facts.candidate(capital, DATA.CAPITAL)])
        if continent:
            facts.fact(subject, "P30", [facts.candidate(continent, DATA.CONTINENT)])
        if spoken:
            spoken, known = spoken.split(", "), languages.get(iri.removeprefix(ENTITY))
            unknown = [s for s in spoken if known and LANGUAGES.get(s, s.lower()) not in known]
            DATA.check(not unknown, f"{label} does not speak {unknown} but {known}")
            facts.fact(subject, "P37", [facts.candidate(s, DATA.LANGUAGE) for s in spoken])
        if iri in borders:
            facts.fact(subject, "P47", [b for b in borders[iri] if b in facts.known])


def add_rivers(facts, old, new):
    """P205, basin country: the rivers all of whose countries are known."""
    _, names = DATA.countries_of(old, new)
    for line in old:
        if line["Relation"] != "RiverBasinsCountry" or line["SubjectEntity"] in DATA.RIVERS:
            continue
        name = line["SubjectEntity"]
        known = [[names[a] for a in aliases if a in names] for aliases in line["ObjectEntities"]]
        if not all(known):
            continue
        label = RIVER_LABELS.get(name, name.removesuffix(" river"))
        label = label if label.endswith("River") or label == name else f"{label} River"
        subject = facts.subject(f"{ENTITY}Q{line['WikidataID']}", label, DATA.RIVER)
        if subject:
            objects = sorted({ENTITY + qids[0] for qids in known})
            facts.fact(subject, "P205", objects)


def add_persons(facts, new):
    """P20, place of death: where all places are candidates; and persons who have none."""
    for line, places in DATA.deaths(new):
        objects = [facts.candidate(DATA.OTHER_LABELS.get(label, label), DATA.CITY, DATA.CAPITAL)
                   for label, _ in places]
        if all(objects):
            iri = ENTITY + line["SubjectEntityID"]
            subject = facts.subject(iri, line["SubjectEntity"], DATA.HUMAN)
            if subject:
                facts.fact(subject, "P20", objects)
    for label, place in written("P20"):
        object_ = facts.candidate(place, DATA.CITY, DATA.CAPITAL)
        if object_:
            subject = facts.subject(None, label, DATA.HUMAN)
            if subject:
                facts.fact(subject, "P20", [object_])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
