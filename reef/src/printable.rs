//! Detects and removes characters that control a terminal or the text direction.

/// Whether a character affects display beyond its own position: control characters, bidirectional marks, line
/// separators, and zero-width characters.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// One line in which each such character is shown as `·`.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '·' } else { c }).collect()
}

/// The same, at most `columns_max` characters, cut in the middle: both ends of a name matter.
pub(crate) fn shortened(text: &str, columns_max: usize) -> String {
    let characters: Vec<char> = printable(text).chars().collect();
    if characters.len() <= columns_max {
        return characters.into_iter().collect();
    }
    let kept = columns_max.saturating_sub(1);
    let tail = kept / 2;
    let head: String = characters[..kept - tail].iter().collect();
    let tail: String = characters[characters.len() - tail..].iter().collect();
    format!("{head}…{tail}")
}

/// A sentence in lines of at most `columns_max` characters. A longer word is cut in the middle, and so is a sentence of
/// more than `lines_max` lines.
pub(crate) fn wrapped(text: &str, columns_max: usize, lines_max: usize) -> Vec<String> {
    let text = shortened(text, columns_max * lines_max);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = shortened(word, columns_max);
        let last = lines.last_mut().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > columns_max {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_turns_moves_or_hides() {
        let hostile = "a\u{202e}b\u{1b}[2Jc\u{2066}d\u{200b}e\u{9b}f\ng\u{feff}h\u{7f}i\u{2028}j";
        assert_eq!(printable(hostile), "a·b·[2Jc·d·e·f·g·h·i·j");
        // letters of any script, accents and pictures stay as they are
        for harmless in ["café", "cafe\u{301}", "日本語", "\u{1f980}-reef", "שלום", "a'; DROP TABLE"] {
            assert_eq!(printable(harmless), harmless);
        }
    }

    #[test]
    fn sentences_are_wrapped_between_words_and_long_words_are_cut() {
        assert_eq!(wrapped("one two three", 7, 5), ["one two", "three"]);
        assert_eq!(wrapped("", 7, 5), [""]);
        let cut = wrapped(&format!("a {} b", "x".repeat(90)), 20, 30);
        assert!(cut.iter().all(|line| line.chars().count() <= 20) && cut.join(" ").contains('…'), "{cut:?}");
        assert!(wrapped(&"word ".repeat(900), 40, 3).len() <= 4);
    }
}
