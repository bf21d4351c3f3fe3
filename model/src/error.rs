//! Formats an error and all its causes on one line.

use std::error::Error;

/// An error and its causes, outermost first, joined by `: `. A cause whose text is already in the line is not repeated.
///
/// ```
/// use coral_model::error::one_line;
/// assert_eq!(one_line(&std::fmt::Error), "an error occurred when formatting an argument");
/// ```
pub fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| (*cause).source()) {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|link| link as &dyn Error)
        }
    }

    #[test]
    fn causes_follow_and_are_not_repeated() {
        let chain = Link("cannot open", Some(Box::new(Link("disk is full", Some(Box::new(Link("is full", None)))))));
        assert_eq!(one_line(&chain), "cannot open: disk is full");
    }
}
