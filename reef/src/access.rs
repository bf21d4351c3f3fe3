//! Access: what a caller of the services may do, and why another may not.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a caller may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read what is stored.
    Readonly,
    /// The same, and spend tokens of a language model.
    Analyst,
    /// Everything.
    Admin,
}

/// Why a caller may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// What is missing.
    pub kind: DeniedKind,
    /// In words.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

/// The kind of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedKind {
    /// It is not known who calls.
    Unauthenticated,
    /// The caller is known and has too few rights.
    Forbidden,
    /// Tokens cannot be checked now.
    Unavailable,
}

/// Who calls; in the extensions of each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub Result<Role, Denied>);

/// Checks a token: what its holder may do, or why there is no such holder.
pub type TokenCheck = Arc<dyn Fn(&str) -> Result<Role, Denied> + Send + Sync>;

/// By which name a caller is counted and recorded; in the extensions of each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker(pub String);

impl Default for Asker {
    /// A caller on this machine without a token.
    fn default() -> Asker {
        Asker("local".to_owned())
    }
}

/// Who asks a question in words, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The id of a token, or `local`.
    pub caller: String,
    /// The role.
    pub role: String,
}

impl Who {
    /// The caller of a request, by what its extensions say.
    pub fn of(asker: Option<&Asker>, caller: Option<&Caller>) -> Who {
        let role = caller.map_or(Some(Role::Admin), Caller::role).map_or("", Role::as_str);
        Who { caller: asker.cloned().unwrap_or_default().0, role: role.to_owned() }
    }
}

impl Default for Who {
    /// The user of this machine.
    fn default() -> Who {
        Who::of(None, None)
    }
}

impl Role {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Readonly => "readonly",
            Role::Analyst => "analyst",
            Role::Admin => "admin",
        }
    }
}

impl Caller {
    /// The role; `None` without a valid token where one is needed.
    pub fn role(&self) -> Option<Role> {
        self.0.as_ref().ok().copied()
    }

    /// Whether the caller has the role.
    ///
    /// # Errors
    /// Why not.
    pub fn permit(&self, needed: Role) -> Result<(), Denied> {
        match &self.0 {
            Ok(role) if *role >= needed => Ok(()),
            Ok(_) => Err(Denied {
                kind: DeniedKind::Forbidden,
                message: "the token's role is not enough".to_owned(),
                hint: "use a token with more rights",
            }),
            Err(denied) => Err(denied.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_includes_those_before_it() {
        let roles = [Role::Readonly, Role::Analyst, Role::Admin];
        for (have, role) in roles.into_iter().enumerate() {
            for (need, needed) in roles.into_iter().enumerate() {
                assert_eq!(Caller(Ok(role)).permit(needed).is_ok(), have >= need, "{role:?} {needed:?}");
            }
        }
        let unknown = Denied { kind: DeniedKind::Unauthenticated, message: "no token".to_owned(), hint: "" };
        assert_eq!(Caller(Err(unknown.clone())).permit(Role::Readonly), Err(unknown));
    }
}
