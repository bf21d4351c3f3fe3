//! Handshake: credentials as a token: that of `Bearer`, or the password of `Basic` with any name.

use super::errors;
use crate::access::{Caller, Role, TokenCheck};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// The token that a client sends with its further calls; `None` where it needs none.
///
/// # Errors
/// When the caller may not read.
pub(super) fn token(
    metadata: &MetadataMap,
    caller: Option<&Caller>,
    check: &TokenCheck,
) -> Result<Option<String>, Status> {
    let header = metadata.get("authorization").and_then(|value| value.to_str().ok());
    let credentials = header.and_then(|header| header.split_once(' '));
    let may_read = |caller: &Caller| caller.permit(Role::Readonly).map_err(|denied| errors::of_access(&denied));
    match credentials {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => {
            let token = password(encoded).ok_or_else(|| errors::unknown("the credentials are no name and password"))?;
            may_read(&Caller(check(&token)))?;
            Ok(Some(token))
        }
        _ => {
            may_read(caller.ok_or_else(|| errors::unknown("it is not known who calls"))?)?;
            Ok(credentials.map(|(_, token)| token.trim().to_owned()))
        }
    }
}

fn password(encoded: &str) -> Option<String> {
    // some clients omit the padding
    let encoded = encoded.trim().trim_end_matches('=');
    let decoded = String::from_utf8(STANDARD_NO_PAD.decode(encoded).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::access::{Denied, DeniedKind};
    use base64::engine::general_purpose::STANDARD;
    use std::sync::Arc;
    use tonic::Code;

    fn shown(header: Option<&str>, caller: Option<&Caller>) -> Result<Option<String>, Code> {
        let check: TokenCheck = Arc::new(|token: &str| match token {
            "coral_1_2" => Ok(Role::Readonly),
            _ => {
                let message = "the token is not valid".to_owned();
                Err(Denied { kind: DeniedKind::Unauthenticated, message, hint: "" })
            }
        });
        let mut metadata = MetadataMap::new();
        if let Some(header) = header {
            metadata.insert("authorization", header.parse().unwrap());
        }
        token(&metadata, caller, &check).map_err(|status| status.code())
    }

    #[test]
    fn a_token_is_the_bearers_or_the_password_of_any_name() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let token = Ok(Some("coral_1_2".to_owned()));
        assert_eq!(shown(Some(&basic("me:coral_1_2")), None), token);
        assert_eq!(shown(Some(&basic(":coral_1_2")), None), token);
        assert!(basic("a:coral_1_2").ends_with('='), "also without padding");
        assert_eq!(shown(Some(basic("a:coral_1_2").trim_end_matches('=')), None), token);
        for wrong in ["me:coral_1_3", "coral_1_2", "me:", ":"] {
            assert_eq!(shown(Some(&basic(wrong)), None), Err(Code::Unauthenticated), "{wrong}");
        }
        assert_eq!(shown(Some("Basic ???"), None), Err(Code::Unauthenticated));
        // what the listener has found out about a bearer, or about a caller without credentials
        let (known, local) = (Caller(Ok(Role::Readonly)), Caller(Ok(Role::Admin)));
        assert_eq!(shown(Some("Bearer coral_1_2"), Some(&known)), token);
        assert_eq!(shown(None, Some(&local)), Ok(None));
        assert_eq!(shown(None, None), Err(Code::Unauthenticated));
    }
}
