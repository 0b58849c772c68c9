use std::{error::Error, iter::successors};

/// An error and its causes in one line, outermost first. A cause that the text before it tells already is left out.
#[must_use]
pub fn in_full(error: &(dyn Error + '_)) -> String {
    let causes = successors(error.source(), |&cause| cause.source());
    causes.map(ToString::to_string).fold(error.to_string(), |text, cause| {
        if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Self>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn each_cause_is_told_once_and_in_its_order() {
        let disk = Layer("disk full", None);
        let write = Layer("cannot write: disk full", Some(Box::new(disk)));
        let save = Layer("not saved", Some(Box::new(write)));
        assert_eq!(in_full(&save), "not saved: cannot write: disk full");
    }
}
