//! Who may call: a token, compared in a time that says nothing of it, or a certificate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use subtle::ConstantTimeEq;

use crate::{config::Auth, listen::Peer};

/// Who may call.
#[derive(Clone, Default)]
pub struct Access {
    token: Option<String>,
    /// Whether nothing is asked for.
    is_open: bool,
}

/// Why nobody could be let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The file with the token is not there, or cannot be read.
    #[error("cannot read the token in {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("there is no token in {path}")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Access {
    /// Reads the token where it stands in a file; relative paths begin in `folder`.
    pub fn new(auth: Option<&Auth>, folder: &Path) -> Result<Self, AccessError> {
        let Some(auth) = auth else {
            return Ok(Self {
                token: None,
                is_open: true,
            });
        };
        let mut token = auth.token.as_ref().map(|token| token.expose().to_owned());
        if let Some(file) = &auth.token_file {
            let path = folder.join(file);
            let text = fs::read_to_string(&path).map_err(|source| AccessError::Unreadable {
                path: path.clone(),
                source,
            })?;
            let text = text.trim();
            if text.is_empty() {
                return Err(AccessError::Empty { path });
            }
            token = Some(text.to_owned());
        }
        Ok(Self { token, is_open: false })
    }

    /// Whether a request with these headers, from this peer, is let in.
    pub fn admits(&self, headers: &HeaderMap, peer: Option<&Peer>) -> bool {
        if self.is_open || peer.is_some_and(|peer| peer.is_certified) {
            return true;
        }
        headers.get(AUTHORIZATION).is_some_and(|value| self.is_token(value))
    }

    /// Takes our token out of headers that go on to somebody else; what is not ours stays.
    pub(crate) fn keep_token(&self, headers: &mut HeaderMap) {
        if headers.get_all(AUTHORIZATION).iter().any(|value| self.is_token(value)) {
            headers.remove(AUTHORIZATION);
        }
    }

    fn is_token(&self, value: &HeaderValue) -> bool {
        let (Some(token), Some(shown)) = (&self.token, bearer(value.as_bytes())) else {
            return false;
        };
        bool::from(shown.ct_eq(token.as_bytes()))
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("is_open", &self.is_open)
            .finish_non_exhaustive()
    }
}

/// The token of `Bearer TOKEN`; the scheme is spelt in any case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use chassis::config::Secret;

    use super::*;
    use crate::listen::Origin;

    fn shown(text: &str) -> HeaderMap {
        [(AUTHORIZATION, text.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn who_shows_the_token_is_let_in() {
        let auth = Auth {
            token: Some(Secret::new("open sesame")),
            ..Auth::default()
        };
        let access = Access::new(Some(&auth), Path::new("/")).unwrap();
        for right in ["Bearer open sesame", "bearer  open sesame "] {
            assert!(access.admits(&shown(right), None), "{right}");
        }
        for wrong in [
            "Bearer open",
            "Bearer open sesamee",
            "Bearer ",
            "Basic open sesame",
            "open sesame",
            "Bearer",
        ] {
            assert!(!access.admits(&shown(wrong), None), "{wrong}");
        }
        let (mut ours, mut others) = (shown("Bearer open sesame"), shown("Basic abc"));
        access.keep_token(&mut ours);
        access.keep_token(&mut others);
        assert_eq!((ours.len(), others.len()), (0, 1));
        assert!(!access.admits(&HeaderMap::new(), None));
        let certified = Peer {
            origin: Origin::Unix,
            is_encrypted: true,
            is_certified: true,
        };
        assert!(access.admits(&HeaderMap::new(), Some(&certified)));
        assert!(
            Access::new(None, Path::new("/"))
                .unwrap()
                .admits(&HeaderMap::new(), None)
        );
    }

    #[test]
    fn a_token_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let auth = Auth {
            token_file: Some("token".into()),
            ..Auth::default()
        };
        let read = || Access::new(Some(&auth), folder.path());
        assert!(matches!(read(), Err(AccessError::Unreadable { .. })));
        fs::write(folder.path().join("token"), "\n").unwrap();
        assert!(matches!(read(), Err(AccessError::Empty { .. })));
        fs::write(folder.path().join("token"), "sesame\n").unwrap();
        assert!(read().unwrap().admits(&shown("Bearer sesame"), None));
    }
}
