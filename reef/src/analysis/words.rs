//! Words: a question as words, and which known names it has. The longest name wins; a part of a longer word is no name.

use std::ops::Range;

/// A question as it is searched: lower case, and with spaces for what separates words.
pub(super) struct Words {
    /// As asked, in lower case; as many characters as `folded`.
    raw: Vec<char>,
    folded: Vec<char>,
    /// Characters that a name has taken.
    taken: Vec<Range<usize>>,
}

impl Words {
    pub fn of(question: &str) -> Words {
        // one character for one: places are the same in both
        let raw: Vec<char> = question.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect();
        let folded = raw.iter().map(|c| fold(*c)).collect();
        Words { raw, folded, taken: Vec::new() }
    }

    /// All words, without what separates them; `.` and `:` between digits stay.
    pub fn list(&self) -> Vec<String> {
        let text: String = self.raw.iter().collect();
        let words = text.split(|c: char| c.is_whitespace() || ",;!?\"'()".contains(c));
        words.map(|word| word.trim_matches(['.', ':', '-']).to_owned()).filter(|word| !word.is_empty()).collect()
    }

    /// Whether a word or a sequence of words is there.
    pub fn has(&self, words: &str) -> bool {
        self.place(words).is_some()
    }

    /// Whether one of them is.
    pub fn has_any(&self, any: &[&str]) -> bool {
        any.iter().any(|words| self.has(words))
    }

    /// Takes the first place of a name that no other name has taken, and returns it.
    pub fn take(&mut self, name: &str) -> Option<usize> {
        let place = self.places(name).find(|place| !self.taken.iter().any(|taken| overlap(taken, place)))?;
        let start = place.start;
        self.taken.push(place);
        Some(start)
    }

    /// Whether it is somewhere where no name has taken it.
    pub fn is_free(&self, words: &str) -> bool {
        self.places(words).any(|place| !self.taken.iter().any(|taken| overlap(taken, &place)))
    }

    /// The known names that the question has, in its order. Longer names are looked for first.
    pub fn names<'a>(&mut self, known: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        let mut known: Vec<&String> = known.into_iter().filter(|name| is_name(name)).collect();
        known.sort_by(|a, b| b.chars().count().cmp(&a.chars().count()).then_with(|| a.cmp(b)));
        let mut found: Vec<(usize, String)> =
            known.into_iter().filter_map(|name| Some((self.take(name)?, name.clone()))).collect();
        found.sort();
        found.into_iter().map(|(_, name)| name).collect()
    }

    fn place(&self, words: &str) -> Option<Range<usize>> {
        self.places(words).next()
    }

    fn places(&self, words: &str) -> impl Iterator<Item = Range<usize>> {
        let wanted: Vec<char> = words.chars().map(|c| fold(c.to_lowercase().next().unwrap_or(c))).collect();
        let length = wanted.len();
        let starts = if length == 0 { 0 } else { (self.folded.len() + 1).saturating_sub(length) };
        (0..starts)
            .map(move |start| start..start + length)
            .filter(move |place| self.folded[place.clone()] == wanted[..] && self.is_bounded(place))
    }

    /// Whether no longer word goes on beside it.
    fn is_bounded(&self, place: &Range<usize>) -> bool {
        let joins = |c: Option<&char>, beyond: Option<&char>| match c {
            Some('-' | '_' | '/') => beyond.is_some_and(|c| c.is_alphanumeric()),
            Some('.') => beyond.is_some_and(|c| c.is_alphanumeric()),
            Some(c) => c.is_alphanumeric(),
            None => false,
        };
        let at = |place: Option<usize>| place.and_then(|place| self.raw.get(place));
        let before = joins(at(place.start.checked_sub(1)), at(place.start.checked_sub(2)));
        !before && !joins(self.raw.get(place.end), self.raw.get(place.end + 1))
    }
}

fn fold(c: char) -> char {
    if c.is_alphanumeric() { c } else { ' ' }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// One letter, or a sign, is in every question.
fn is_name(name: &str) -> bool {
    name.chars().filter(|c| c.is_alphanumeric()).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_whole_words_the_longest_first() {
        let known = ["api", "payment-api", "checkout", "db.pool.utilization"].map(str::to_owned);
        let found = |question: &str| Words::of(question).names(&known);
        assert_eq!(found("Is Payment API affecting checkout?"), ["payment-api", "checkout"]);
        assert_eq!(found("payment-api and api."), ["payment-api", "api"]);
        assert!(found("rapid, api-gateway, api_2, the my-api").is_empty());
        assert_eq!(found("what of db.pool.utilization"), ["db.pool.utilization"]);
        assert!(found("").is_empty() && found("ApI\u{130}").is_empty());
        assert!(Words::of("why so slow?").has("slow") && !Words::of("slower").has("slow"));
    }
}
