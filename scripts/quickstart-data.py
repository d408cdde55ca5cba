#!/usr/bin/env python3
"""Makes the quickstart's tables: subjects, candidates and gold facts with Wikidata IRIs.

    scripts/quickstart-data.py LM-KBC-2022 LM-KBC-2024 pipelines/quickstart

The first two arguments are the folders of the two data sets (train.jsonl with dev.jsonl or
val.jsonl). What is taken from them and what is written down here is said in
pipelines/quickstart/README.md. Where the two overlap they are compared, and a contradiction
stops the script.
"""

import csv
import json
import sys
from pathlib import Path

ENTITY = "http://www.wikidata.org/entity/"
PROPERTY = "http://www.wikidata.org/prop/direct/"
COUNTRY, CAPITAL, CITY, CONTINENT = "Q6256", "Q5119", "Q515", "Q5107"
LANGUAGE, RIVER, HUMAN = "Q34770", "Q4022", "Q5"

CONTINENTS = {
    "Africa": "Q15", "Antarctica": "Q51", "Asia": "Q48", "Europe": "Q46",
    "North America": "Q49", "Oceania": "Q55643", "South America": "Q18",
}

LANGUAGES = {
    "Afrikaans": "Q14196", "Albanian": "Q8748", "Amharic": "Q28244", "Arabic": "Q13955",
    "Armenian": "Q8785", "Azerbaijani": "Q9292", "Belarusian": "Q9091", "Bengali": "Q9610",
    "Bosnian": "Q9303", "Bulgarian": "Q7918", "Burmese": "Q9228", "Catalan": "Q7026",
    "Chinese": "Q7850", "Croatian": "Q6654", "Czech": "Q9056", "Danish": "Q9035",
    "Dhivehi": "Q32656", "Dutch": "Q7411", "Dzongkha": "Q33081", "English": "Q1860",
    "Estonian": "Q9072", "Filipino": "Q33298", "Finnish": "Q1412", "French": "Q150",
    "Georgian": "Q8108", "German": "Q188", "Greek": "Q9129", "Guarani": "Q35876",
    "Haitian Creole": "Q33491", "Hebrew": "Q9288", "Hindi": "Q1568", "Hungarian": "Q9067",
    "Icelandic": "Q294", "Indonesian": "Q9240", "Irish": "Q9142", "Italian": "Q652",
    "Japanese": "Q5287", "Kazakh": "Q9252", "Khmer": "Q9205", "Kinyarwanda": "Q33573",
    "Korean": "Q9176", "Kurdish": "Q36368", "Kyrgyz": "Q9255", "Lao": "Q9211",
    "Latvian": "Q9078", "Lithuanian": "Q9083", "Luxembourgish": "Q9051", "Macedonian": "Q9296",
    "Malagasy": "Q7930", "Malay": "Q9237", "Maltese": "Q9166", "Māori": "Q36451",
    "Mongolian": "Q9246", "Nepali": "Q33823", "Norwegian": "Q9043", "Pashto": "Q58680",
    "Persian": "Q9168", "Polish": "Q809", "Portuguese": "Q5146", "Quechua": "Q5218",
    "Romanian": "Q7913", "Russian": "Q7737", "Serbian": "Q9299", "Sinhala": "Q13267",
    "Slovak": "Q9058", "Slovene": "Q9063", "Somali": "Q13275", "Spanish": "Q1321",
    "Swahili": "Q7838", "Swedish": "Q9027", "Tajik": "Q9260", "Tamil": "Q5885",
    "Thai": "Q9217", "Tigrinya": "Q34124", "Turkish": "Q256", "Turkmen": "Q9267",
    "Ukrainian": "Q8798", "Urdu": "Q1617", "Uzbek": "Q9264", "Vietnamese": "Q9199",
}

CAPITALS = {
    "Abu Dhabi": "Q1519", "Abuja": "Q3787", "Accra": "Q3761", "Addis Ababa": "Q3624",
    "Algiers": "Q3561", "Amman": "Q3805", "Amsterdam": "Q727", "Andorra la Vella": "Q1863",
    "Ankara": "Q3640", "Antananarivo": "Q3915", "Apia": "Q36260", "Ashgabat": "Q23438",
    "Astana": "Q1520", "Asunción": "Q2933", "Athens": "Q1524", "Baghdad": "Q1530",
    "Baku": "Q9248", "Bamako": "Q3703", "Bandar Seri Begawan": "Q9279", "Bangkok": "Q1861",
    "Bangui": "Q3832", "Banjul": "Q3726", "Beijing": "Q956", "Beirut": "Q3820",
    "Belgrade": "Q3711", "Belmopan": "Q3043", "Berlin": "Q64", "Bern": "Q70",
    "Bishkek": "Q9361", "Bissau": "Q3739", "Bogotá": "Q2841", "Brasília": "Q2844",
    "Bratislava": "Q1780", "Brazzaville": "Q3844", "Brussels": "Q239", "Bucharest": "Q19660",
    "Budapest": "Q1781", "Buenos Aires": "Q1486", "Cairo": "Q85", "Canberra": "Q3114",
    "Caracas": "Q1533", "Chișinău": "Q21197", "Conakry": "Q3733", "Copenhagen": "Q1748",
    "Dakar": "Q3718", "Damascus": "Q3766", "Dhaka": "Q1354", "Dili": "Q9310",
    "Dodoma": "Q3866", "Doha": "Q3861", "Dublin": "Q1761", "Dushanbe": "Q9365",
    "Freetown": "Q3780", "Gaborone": "Q3919", "Georgetown": "Q10717", "Guatemala City": "Q1555",
    "Hanoi": "Q1858", "Harare": "Q3921", "Havana": "Q1563", "Helsinki": "Q1757",
    "Honiara": "Q40921", "Islamabad": "Q1362", "Jakarta": "Q3630", "Kabul": "Q5838",
    "Kampala": "Q3894", "Kathmandu": "Q3037", "Khartoum": "Q1963", "Kigali": "Q3859",
    "Kingston": "Q34692", "Kinshasa": "Q3838", "Kuala Lumpur": "Q1865", "Kuwait City": "Q35178",
    "Kyiv": "Q1899", "Libreville": "Q3825", "Lilongwe": "Q3876", "Lima": "Q2868",
    "Lisbon": "Q597", "Ljubljana": "Q437", "Lomé": "Q3792", "London": "Q84",
    "Luanda": "Q3897", "Lusaka": "Q3881", "Luxembourg City": "Q1842", "Madrid": "Q2807",
    "Malé": "Q9347", "Managua": "Q3274", "Manama": "Q3882", "Manila": "Q1461",
    "Maputo": "Q3889", "Maseru": "Q3909", "Mexico City": "Q1489", "Minsk": "Q2280",
    "Mogadishu": "Q2449", "Monrovia": "Q3748", "Montevideo": "Q1335", "Moscow": "Q649",
    "Muscat": "Q3826", "N'Djamena": "Q3659", "Nairobi": "Q3870", "Nassau": "Q2467",
    "New Delhi": "Q987", "Niamey": "Q3674", "Nicosia": "Q3856", "Nouakchott": "Q3688",
    "Oslo": "Q585", "Ottawa": "Q1930", "Ouagadougou": "Q3777", "Panama City": "Q3306",
    "Paramaribo": "Q3001", "Paris": "Q90", "Phnom Penh": "Q1850", "Podgorica": "Q23564",
    "Port Louis": "Q3929", "Port Moresby": "Q36526", "Port-au-Prince": "Q34261",
    "Prague": "Q1085", "Pyongyang": "Q18808", "Quito": "Q2900", "Rabat": "Q3551",
    "Reykjavík": "Q1764", "Riga": "Q1773", "Riyadh": "Q3692", "Rome": "Q220",
    "San José": "Q3070", "San Salvador": "Q3110", "Santiago": "Q2887", "Santo Domingo": "Q34820",
    "Sarajevo": "Q11194", "Seoul": "Q8684", "Skopje": "Q384", "Sofia": "Q472",
    "Stockholm": "Q1754", "Suva": "Q38807", "Taipei": "Q1867", "Tallinn": "Q1770",
    "Tashkent": "Q269", "Tbilisi": "Q994", "Tegucigalpa": "Q3238", "Tehran": "Q3616",
    "Thimphu": "Q9270", "Tirana": "Q19689", "Tokyo": "Q1490", "Tripoli": "Q3579",
    "Tunis": "Q3572", "Ulaanbaatar": "Q23430", "Vaduz": "Q1844", "Valletta": "Q23800",
    "Victoria": "Q3940", "Vienna": "Q1741", "Vientiane": "Q9326", "Vilnius": "Q216",
    "Warsaw": "Q270", "Washington, D.C.": "Q61", "Wellington": "Q23661", "Windhoek": "Q3935",
    "Yamoussoukro": "Q3768", "Yaoundé": "Q3808", "Yerevan": "Q1953", "Zagreb": "Q1435",
}

# Labels under which LM-KBC 2024 lists a capital otherwise.
OTHER_LABELS = {"Washington": "Washington, D.C."}

# Cities that LM-KBC 2024 lists as places of death, with their countries.
CITIES = {
    "Baden-Baden": "Germany", "Bad Oeynhausen": "Germany", "Barcelona": "Spain",
    "Białystok": "Poland", "Birmingham": "United Kingdom", "Cambridge": "United Kingdom",
    "Celle": "Germany", "Chicago": "United States", "Dallas": "United States",
    "Delhi": "India", "Düsseldorf": "Germany", "Edmonton": "Canada",
    "Freiburg im Breisgau": "Germany", "Groningen": "Netherlands", "Guadalajara": "Mexico",
    "Haguenau": "France", "Ho Chi Minh City": "Vietnam", "Houston": "United States",
    "Jacksonville": "United States", "Kazan": "Russia", "Kolkata": "India",
    "Kozhikode": "India", "Kyoto": "Japan", "Landshut": "Germany", "Leimen": "Germany",
    "Lleida": "Spain", "Los Angeles": "United States", "Lyon": "France",
    "Maastricht": "Netherlands", "Mumbai": "India", "Munich": "Germany",
    "New York City": "United States", "Nizhny Novgorod": "Russia", "Palermo": "Italy",
    "Pisa": "Italy", "Pretoria": "South Africa", "Saint Petersburg": "Russia",
    "San Antonio": "United States", "San Diego": "United States", "Tartu": "Estonia",
    "Ulan-Ude": "Russia", "Valencia": "Spain", "Volgograd": "Russia",
    "Wrocław": "Poland", "Zürich": "Switzerland",
}

# Country, capital, continent, official languages. Only countries that lie on one continent and
# have one capital; their neighbours come from LM-KBC 2024.
COUNTRIES = [
    ("Albania", "Tirana", "Europe", "Albanian"),
    ("Argentina", "Buenos Aires", "South America", "Spanish"),
    ("Australia", "Canberra", "Oceania", "English"),
    ("Bahamas", "Nassau", "North America", "English"),
    ("Bangladesh", "Dhaka", "Asia", "Bengali"),
    ("Belarus", "Minsk", "Europe", "Belarusian, Russian"),
    ("Belgium", "Brussels", "Europe", "Dutch, French, German"),
    ("Belize", "Belmopan", "North America", "English"),
    ("Bhutan", "Thimphu", "Asia", "Dzongkha"),
    ("Bosnia and Herzegovina", "Sarajevo", "Europe", "Bosnian, Croatian, Serbian"),
    ("Botswana", "Gaborone", "Africa", "English"),
    ("Cambodia", "Phnom Penh", "Asia", "Khmer"),
    ("Canada", "Ottawa", "North America", "English, French"),
    ("Colombia", "Bogotá", "South America", "Spanish"),
    ("Costa Rica", "San José", "North America", "Spanish"),
    ("Croatia", "Zagreb", "Europe", "Croatian"),
    ("Cuba", "Havana", "North America", "Spanish"),
    ("Denmark", "Copenhagen", "Europe", "Danish"),
    ("Dominican Republic", "Santo Domingo", "North America", "Spanish"),
    ("Estonia", "Tallinn", "Europe", "Estonian"),
    ("Finland", "Helsinki", "Europe", "Finnish, Swedish"),
    ("Gabon", "Libreville", "Africa", "French"),
    ("Germany", "Berlin", "Europe", "German"),
    ("Greece", "Athens", "Europe", "Greek"),
    ("Guinea", "Conakry", "Africa", "French"),
    ("Guyana", "Georgetown", "South America", "English"),
    ("Iraq", "Baghdad", "Asia", "Arabic, Kurdish"),
    ("Ireland", "Dublin", "Europe", "English, Irish"),
    ("Jordan", "Amman", "Asia", "Arabic"),
    ("Kenya", "Nairobi", "Africa", "English, Swahili"),
    ("Latvia", "Riga", "Europe", "Latvian"),
    ("Lebanon", "Beirut", "Asia", "Arabic"),
    ("Liberia", "Monrovia", "Africa", "English"),
    ("Luxembourg", "Luxembourg City", "Europe", "French, German, Luxembourgish"),
    ("Malaysia", "Kuala Lumpur", "Asia", "Malay"),
    ("Malta", "Valletta", "Europe", "English, Maltese"),
    ("Mauritania", "Nouakchott", "Africa", "Arabic"),
    ("Mongolia", "Ulaanbaatar", "Asia", "Mongolian"),
    ("Namibia", "Windhoek", "Africa", "English"),
    ("Nepal", "Kathmandu", "Asia", "Nepali"),
    ("Netherlands", "Amsterdam", "Europe", "Dutch"),
    ("New Zealand", "Wellington", "Oceania", "English, Māori"),
    ("Nicaragua", "Managua", "North America", "Spanish"),
    ("Nigeria", "Abuja", "Africa", "English"),
    ("North Korea", "Pyongyang", "Asia", "Korean"),
    ("Oman", "Muscat", "Asia", "Arabic"),
    ("Pakistan", "Islamabad", "Asia", "English, Urdu"),
    ("Paraguay", "Asunción", "South America", "Guarani, Spanish"),
    ("Philippines", "Manila", "Asia", "English, Filipino"),
    ("Poland", "Warsaw", "Europe", "Polish"),
    ("Qatar", "Doha", "Asia", "Arabic"),
    ("Romania", "Bucharest", "Europe", "Romanian"),
    ("Saudi Arabia", "Riyadh", "Asia", "Arabic"),
    ("Serbia", "Belgrade", "Europe", "Serbian"),
    ("Sierra Leone", "Freetown", "Africa", "English"),
    ("Suriname", "Paramaribo", "South America", "Dutch"),
    ("Syria", "Damascus", "Asia", "Arabic"),
    ("Tunisia", "Tunis", "Africa", "Arabic"),
    ("Uganda", "Kampala", "Africa", "English, Swahili"),
    ("Ukraine", "Kyiv", "Europe", "Ukrainian"),
    ("Uruguay", "Montevideo", "South America", "Spanish"),
    ("Venezuela", "Caracas", "South America", "Spanish"),
    ("Vietnam", "Hanoi", "Asia", "Vietnamese"),
]

# Rivers whose basins LM-KBC 2022 lists, by the label used there and ours.
RIVERS = {
    "Amu Darya": "Amu Darya", "Amur": "Amur", "Chao Phraya": "Chao Phraya",
    "Colorado river": "Colorado River", "Columbia river": "Columbia River",
    "Danube": "Danube", "Dnieper river": "Dnieper", "Dniester": "Dniester", "Elbe": "Elbe",
    "Ganges": "Ganges", "Hudson river": "Hudson River", "Indus river": "Indus",
    "Limpopo river": "Limpopo", "Loire": "Loire", "Marne": "Marne",
    "Mekong river": "Mekong", "Moselle": "Moselle", "Neckar": "Neckar",
    "Niger river": "Niger River", "Oder": "Oder", "Orange river": "Orange River",
    "Ottawa river": "Ottawa River", "Paraguay river": "Paraguay River",
    "Paraná river": "Paraná River", "Potomac river": "Potomac River",
    "Rio Negro": "Rio Negro", "Senegal river": "Senegal River", "Tagus river": "Tagus",
    "Tiber": "Tiber", "Tigris": "Tigris", "Ural river": "Ural", "Vistula": "Vistula",
    "Vltava": "Vltava", "Yangtze": "Yangtze", "Yellow river": "Yellow River",
}

# Labels that differ from those of the data sets, which become aliases.
COUNTRY_LABELS = {
    "Q148": "China", "Q1008": "Ivory Coast", "Q219060": "Palestine", "Q1005": "Gambia",
}
COUNTRY_ALIASES = {
    "Q30": ["United States of America", "USA"], "Q145": ["UK", "Great Britain"],
    "Q213": ["Czechia"], "Q27": ["Republic of Ireland"], "Q836": ["Burma"],
    "Q1011": ["Cabo Verde"], "Q43": ["Türkiye"], "Q574": ["Timor-Leste"],
    "Q1050": ["Swaziland"], "Q221": ["Macedonia"], "Q55": ["Holland"],
}
# Subjects or objects of the data sets that are no countries.
NO_COUNTRIES = {"Q14773", "Q26253", "Q34617", "Q23427", "Q6250", "Q756617", "Q29999"}
PERSONS = 26


def read(folder):
    lines = []
    for name in ("train.jsonl", "dev.jsonl", "val.jsonl"):
        path = Path(folder) / name
        if path.exists():
            lines += [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if not lines:
        sys.exit(f"{folder} holds neither train.jsonl nor dev.jsonl nor val.jsonl")
    return lines


def number(qid):
    return int(qid[1:])


def check(condition, message):
    if not condition:
        sys.exit(f"the data sets contradict this script: {message}")


class Tables:
    """Entities and facts as they are found; every QID keeps one label."""

    def __init__(self):
        self.subjects, self.candidates, self.gold = {}, {}, []

    def add(self, table, qid, label, types, aliases=()):
        old = table.setdefault(qid, (label, list(aliases), set()))
        check(old[0] == label, f"{qid} is both {old[0]} and {label}")
        old[2].update(types)

    def fact(self, subject, relation, objects):
        check(subject in self.subjects, f"{subject} is no subject")
        check(all(o in self.candidates for o in objects), f"{subject} {relation} {objects}")
        self.gold += [(subject, relation, o) for o in objects] or [(subject, relation, None)]

    def write(self, folder):
        folder = Path(folder)
        for name in ("subjects", "candidates"):
            with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["iri", "label", "aliases", "types"])
                table = getattr(self, name)
                for qid, (label, aliases, types) in sorted(table.items(), key=by_type_and_number):
                    types = "|".join(ENTITY + t for t in sorted(types, key=number))
                    writer.writerow([ENTITY + qid, label, "|".join(aliases), types])
        with open(folder / "gold.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["subject", "relation", "object"])
            order = sorted(self.gold, key=lambda f: (number(f[1]), number(f[0]), f[2] or ""))
            for subject, relation, object_ in order:
                object_ = ENTITY + object_ if object_ else ""
                writer.writerow([ENTITY + subject, PROPERTY + relation, object_])


def by_type_and_number(item):
    qid, (_, _, types) = item
    return min(number(t) for t in types), number(qid)


def countries_of(old, new):
    """The label of each country by its QID, and the QID of each name in lower case."""
    labels = {}
    for line in old:
        if line["Relation"].startswith("Country"):
            labels[f"Q{line['WikidataID']}"] = line["SubjectEntity"]
    for line in new:
        if line["Relation"] == "countryLandBordersCountry":
            pairs = list(zip(line["ObjectEntitiesID"], line["ObjectEntities"]))
            check(len(line["ObjectEntitiesID"]) == len(line["ObjectEntities"]), line)
            for qid, label in [(line["SubjectEntityID"], line["SubjectEntity"]), *pairs]:
                labels[qid] = label
    labels["Q17"] = "Japan"
    labels = {q: COUNTRY_LABELS.get(q, l) for q, l in labels.items() if q not in NO_COUNTRIES}
    names = {label.lower(): qid for qid, label in labels.items()}
    for qid, aliases in COUNTRY_ALIASES.items():
        check(qid in labels, f"{qid} is no country")
        names.update({alias.lower(): qid for alias in aliases})
    names["people's republic of china"] = "Q148"
    return labels, names


def main(old_folder, new_folder, out):
    old, new = read(old_folder), read(new_folder)
    tables = Tables()
    labels, names = countries_of(old, new)
    for qid, label in labels.items():
        aliases = COUNTRY_ALIASES.get(qid, [])
        if qid == "Q148":
            aliases = ["People's Republic of China"]
        tables.add(tables.candidates, qid, label, [COUNTRY], aliases)
    for label, qid in CONTINENTS.items():
        tables.add(tables.candidates, qid, label, [CONTINENT])
    for label, qid in LANGUAGES.items():
        tables.add(tables.candidates, qid, label, [LANGUAGE], [f"{label} language"])
    for label, qid in CAPITALS.items():
        tables.add(tables.candidates, qid, label, [CAPITAL])

    add_cities(tables, new, names)
    add_countries(tables, old, new, names)
    add_rivers(tables, old, names)
    add_persons(tables, new)
    tables.write(out)
    print(f"{len(tables.subjects)} subjects, {len(tables.candidates)} candidates,",
          f"{len({f[:2] for f in tables.gold})} questions, {len(tables.gold)} rows of gold")


def deaths(new):
    for line in new:
        if line["Relation"] == "personHasCityOfDeath":
            yield line, list(zip(line["ObjectEntities"], line["ObjectEntitiesID"]))


def add_cities(tables, new, names):
    """P17, country: of the cities that are not capitals."""
    found = {}
    for _, places in deaths(new):
        for label, qid in places:
            label = OTHER_LABELS.get(label, label)
            if label in CAPITALS:
                check(CAPITALS[label] == qid, f"{label} is {qid}")
            if label in CITIES:
                check(found.setdefault(label, qid) == qid, f"{label} is {qid}")
    for label, country in CITIES.items():
        check(label in found, f"{label} does not occur")
        tables.add(tables.candidates, found[label], label, [CITY])
        tables.add(tables.subjects, found[label], label, [CITY])
        tables.fact(found[label], "P17", [names[country.lower()]])


def add_countries(tables, old, new, names):
    """P36, capital; P30, continent; P37, official language; P47, shares border with."""
    languages = {}
    for line in old:
        if line["Relation"] == "CountryOfficialLanguage":
            known = {alias for object_ in line["ObjectEntities"] for alias in object_}
            languages[f"Q{line['WikidataID']}"] = known
    borders = {
        line["SubjectEntityID"]: line["ObjectEntitiesID"]
        for line in new if line["Relation"] == "countryLandBordersCountry"
    }
    for label, capital, continent, spoken in COUNTRIES:
        qid = names[label.lower()]
        spoken = spoken.split(", ")
        if qid in languages:
            unknown = [s for s in spoken if s.lower() not in languages[qid]]
            check(not unknown, f"{label} does not speak {unknown} but {languages[qid]}")
        check(qid in borders, f"{label} has no known neighbours")
        tables.add(tables.subjects, qid, label, [COUNTRY], COUNTRY_ALIASES.get(qid, []))
        tables.fact(qid, "P36", [CAPITALS[capital]])
        tables.fact(qid, "P30", [CONTINENTS[continent]])
        tables.fact(qid, "P37", [LANGUAGES[s] for s in spoken])
        tables.fact(qid, "P47", borders[qid])


def add_rivers(tables, old, names):
    """P205, basin country."""
    lines = {line["SubjectEntity"]: line for line in old if line["Relation"] == "RiverBasinsCountry"}
    for name, label in RIVERS.items():
        line = lines[name]
        objects = []
        for aliases in line["ObjectEntities"]:
            known = [names[alias] for alias in aliases if alias in names]
            check(known, f"{name} flows through {aliases}")
            objects.append(known[0])
        qid = f"Q{line['WikidataID']}"
        tables.add(tables.subjects, qid, label, [RIVER])
        tables.fact(qid, "P205", sorted(set(objects), key=number))


def add_persons(tables, new):
    """P20, place of death: the persons with the smallest numbers, half of them with none."""
    dead, alive = [], []
    for line, places in deaths(new):
        if not places:
            alive.append((line, []))
        elif all(qid in tables.candidates for _, qid in places):
            dead.append((line, [qid for _, qid in places]))
    for group in (dead, alive):
        group.sort(key=lambda pair: number(pair[0]["SubjectEntityID"]))
        for line, places in group[:PERSONS]:
            qid = line["SubjectEntityID"]
            tables.add(tables.subjects, qid, line["SubjectEntity"], [HUMAN])
            tables.fact(qid, "P20", places)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
