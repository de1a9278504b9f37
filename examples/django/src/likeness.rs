//! How alike texts are, by the groups of three letters that they have in common.

use std::cmp::Ordering;

/// Pairs of texts that are at least `threshold` alike (1 is the same), the most alike first.
pub(crate) fn pairs(texts: &[String], threshold: f64) -> Vec<(usize, usize, f64)> {
    let texts: Vec<_> = texts.iter().map(|text| trigrams(text)).collect();
    let mut found = Vec::new();
    for (other, theirs) in texts.iter().enumerate() {
        for (one, mine) in texts[..other].iter().enumerate() {
            let likeness = likeness(mine, theirs);
            if likeness >= threshold {
                found.push((one, other, likeness));
            }
        }
    }
    found.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    found
}

type Trigram = [char; 3];

/// What a text has of three letters in a row, in order, each once. Words are padded, so that their beginnings count.
fn trigrams(text: &str) -> Vec<Trigram> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    let mut found = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        let mut last: Trigram = [' '; 3];
        for letter in word.to_lowercase().chars().chain([' ']) {
            last = [last[1], last[2], letter];
            found.push(last);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// How many of all trigrams are in both.
fn likeness(one: &[Trigram], other: &[Trigram]) -> f64 {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while let (Some(a), Some(b)) = (one.get(i), other.get(j)) {
        match a.cmp(b) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => {
                shared += 1;
                i += 1;
                j += 1;
            }
        }
    }
    match one.len() + other.len() - shared {
        0 => 0.0,
        all => shared as f64 / all as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(one: &str, other: &str) -> f64 {
        likeness(&trigrams(one), &trigrams(other))
    }

    #[test]
    fn likeness_is_between_nothing_and_all() {
        assert_eq!(alike("Tea or coffee?", "tea - or - COFFEE"), 1.0);
        assert_eq!(alike("tea", "xyz"), 0.0);
        assert_eq!(alike("", "?!"), 0.0);
        let near = alike("Which island is best?", "Which islands are best?");
        assert!((0.5..1.0).contains(&near), "{near}");
        assert!(near > alike("Which island is best?", "Which sport is best?"));
    }

    #[test]
    fn pairs_come_by_likeness() {
        let texts = ["red wine", "red wines", "green tea", "Red wine", ""].map(str::to_owned);
        let places: Vec<_> = pairs(&texts, 0.5).iter().map(|pair| (pair.0, pair.1)).collect();
        assert_eq!(places, [(0, 3), (0, 1), (1, 3)]);
        assert!(pairs(&[], 0.5).is_empty());
    }
}
