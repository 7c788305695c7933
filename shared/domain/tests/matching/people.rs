//! Made-up people with truth: families at one address, colleagues of one company, and duplicates with the slips that
//! forms see. A fixed sequence, so that every run has the same people.

use super::Data;
use sluice_domain::matching::{Field, Profile};

const GIVEN: [&str; 48] = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Elif",
    "Felix",
    "Greta",
    "Hannah",
    "Ivan",
    "Jonas",
    "Katharina",
    "Lukas",
    "Maria",
    "Noah",
    "Olga",
    "Paul",
    "Quentin",
    "Rosa",
    "Stefan",
    "Theresa",
    "Ulrich",
    "Vera",
    "Walter",
    "Xenia",
    "Yusuf",
    "Zoe",
    "Amelie",
    "Bruno",
    "Carmen",
    "Dmitri",
    "Emilia",
    "Francesco",
    "Gabriel",
    "Helena",
    "Ines",
    "Jakub",
    "Klara",
    "Leon",
    "Mateo",
    "Nadia",
    "Oscar",
    "Petra",
    "Rafael",
    "Sofia",
    "Tomasz",
    "Ursula",
    "Viktor",
    "Wanda",
];
const STEMS: [&str; 24] = [
    "Acker", "Berg", "Carl", "Dorn", "Eich", "Feld", "Gruen", "Hart", "Issing", "Jung", "Kirch", "Linden",
    "Moor", "Nord", "Ober", "Pfeil", "Ritter", "Stein", "Tannen", "Ulmen", "Vogel", "Wald", "Ziegel",
    "Brunn",
];
const ENDS: [&str; 16] = [
    "mann", "er", "hof", "sen", "ova", "ski", "berger", "feld", "hauser", "ton", "well", "inger", "meier",
    "bach", "lund", "ez",
];
const STREETS: [&str; 20] = [
    "Linden", "Bahnhof", "Garten", "Schiller", "Kirch", "Wiesen", "Berg", "Ring", "Mozart", "Hafen",
    "Goethe", "Rosen", "Markt", "Ufer", "Tal", "Sonnen", "Muehl", "Park", "Post", "Nord",
];
const CITIES: [(&str, &str); 12] = [
    ("Berlin", "10"),
    ("Hamburg", "20"),
    ("Munich", "80"),
    ("Cologne", "50"),
    ("Vienna", "11"),
    ("Zurich", "82"),
    ("Leipzig", "04"),
    ("Graz", "88"),
    ("Bremen", "28"),
    ("Basel", "40"),
    ("Essen", "45"),
    ("Linz", "44"),
];
const COMPANIES: [&str; 14] = [
    "Nordwind Logistik",
    "Acme Maschinen",
    "Blauwal Software",
    "Kupferberg Analytics",
    "Sternhaus Immobilien",
    "Gebrueder Lang",
    "Tannenhof Foods",
    "Rheintal Optik",
    "Zweirad Vogel",
    "Medilab Ost",
    "Solarwerk Sued",
    "Papierhaus Klein",
    "Kaffee Kontor",
    "Weitblick Beratung",
];

/// Knuth's MMIX sequence.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Early entries are common, late ones rare, as names are.
    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = self.below(list.len()).min(self.below(list.len()));
        list[at]
    }
}

#[derive(Clone)]
struct Person([String; 9]);

const FIELDS: [Field; 9] = [
    Field::Given,
    Field::Family,
    Field::BirthDate,
    Field::Email,
    Field::Phone,
    Field::Street,
    Field::City,
    Field::PostalCode,
    Field::Company,
];

fn person(dice: &mut Dice, relative: Option<&Person>) -> Person {
    let given = dice.pick(&GIVEN).to_owned();
    let (city, zip) = CITIES[dice.below(CITIES.len())];
    let born = |dice: &mut Dice, from: usize| {
        format!("{:04}-{:02}-{:02}", from + dice.below(40), 1 + dice.below(12), 1 + dice.below(28))
    };
    let (family, street, city, zip, landline) = match relative {
        Some(other) => (
            other.0[1].clone(),
            other.0[5].clone(),
            other.0[6].clone(),
            other.0[7].clone(),
            Some(&other.0[4]),
        ),
        None => (
            format!("{}{}", STEMS[dice.below(STEMS.len())], ENDS[dice.below(ENDS.len())]),
            format!("{}strasse {}", dice.pick(&STREETS), 1 + dice.below(120)),
            city.to_owned(),
            format!("{zip}{:03}", dice.below(60)),
            None,
        ),
    };
    let phone = match landline {
        Some(phone) if dice.chance(40) => phone.clone(),
        _ => format!("+49170{:07}", dice.below(9_999_999)),
    };
    let host = ["mail.example", "post.example", "web.example"][dice.below(3)];
    let email = match dice.below(3) {
        0 => format!("{given}.{family}@{host}"),
        1 => format!("{}{family}{}@{host}", &given[..1], dice.below(99)),
        _ => format!("{given}{}@{host}", dice.below(9_999)),
    };
    let company = dice.pick(&COMPANIES).to_owned();
    let birth = born(dice, 1955);
    Person([given, family, birth, email.to_lowercase(), phone, street, city, zip, company])
}

/// The same person, as another form got them.
fn again(dice: &mut Dice, person: &Person, slips: usize) -> Person {
    let mut other = person.clone();
    for at in 0..other.0.len() {
        match dice.below(100) {
            n if n < slips => other.0[at].clear(),
            n if n < 2 * slips => other.0[at] = slip(dice, &other.0[at]),
            _ => {}
        }
    }
    match dice.below(100) {
        n if n < slips / 2 => other.0.swap(0, 1),
        n if n < slips => other.0[0] = other.0[0].chars().take(1).collect(),
        n if n < slips * 3 / 2 => other.0[8] += " GmbH",
        // Moved, changed the number or the mailbox.
        n if n < slips * 2 => other.0[5..8].clone_from_slice(&self::person(dice, None).0[5..8]),
        n if n < slips * 5 / 2 => other.0[4] = format!("+49151{:07}", dice.below(9_999_999)),
        n if n < slips * 3 => other.0[3] = format!("{}@neu.example", other.0[0].to_lowercase()),
        _ => {}
    }
    other
}

fn slip(dice: &mut Dice, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 2 {
        return text.to_owned();
    }
    let at = dice.below(letters.len() - 1);
    match dice.below(4) {
        0 => letters.swap(at, at + 1),
        1 => drop(letters.remove(at)),
        2 => letters.insert(at, letters[at]),
        _ => {
            let digit = char::from(b'0' + dice.below(10) as u8);
            letters[at] =
                if letters[at].is_ascii_digit() { digit } else { char::from(b'a' + dice.below(26) as u8) };
        }
    }
    letters.into_iter().collect()
}

/// `people` people, most once and some up to five times; `slips` per cent of the values missing, and as many wrong.
pub(super) fn made_up(people: usize, slips: usize, seed: u64) -> Data {
    let mut dice = Dice(seed);
    let mut data = Data { profiles: Vec::new(), truth: Vec::new(), exact: Vec::new() };
    let mut last: Option<Person> = None;
    for id in 0..people {
        let relative = last.as_ref().filter(|_| dice.chance(20));
        let one = person(&mut dice, relative);
        let copies = if dice.chance(50) { 1 } else { 2 + dice.below(4) };
        for copy in 0..copies {
            let record = if copy == 0 { one.clone() } else { again(&mut dice, &one, slips) };
            let profile = FIELDS
                .iter()
                .zip(&record.0)
                .fold(Profile::default(), |p, (field, text)| p.with(*field, text));
            data.exact.push(profile.get(Field::Email).map(str::to_owned));
            data.profiles.push(profile);
            data.truth.push(id.to_string());
        }
        last = Some(one);
    }
    data
}
