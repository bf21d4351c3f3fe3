//! Parses a colony id: `my-shop-production-a3f2e1` is application `my-shop` in environment `production`.

/// Environment names that may end a colony id.
const ENVIRONMENTS: [&str; 14] = [
    "production",
    "prod",
    "staging",
    "stage",
    "development",
    "dev",
    "test",
    "testing",
    "qa",
    "uat",
    "preview",
    "sandbox",
    "canary",
    "demo",
];

/// Application and environment parsed from a colony id, for records that have neither.
///
/// The id is `<application>-<environment>` with an optional suffix of six lower-case hexadecimal digits or letters. If
/// it does not end with a known environment, the whole id is the application and the environment is empty.
///
/// ```
/// use coral_model::colony::identity_from_id;
/// assert_eq!(identity_from_id("my-shop-production-a3f2e1"), ("my-shop".into(), "production".into()));
/// assert_eq!(identity_from_id("gauge-srv-production"), ("gauge-srv".into(), "production".into()));
/// assert_eq!(identity_from_id("legacy"), ("legacy".into(), String::new()));
/// ```
pub fn identity_from_id(colony_id: &str) -> (String, String) {
    let (application, environment) = identity_in_id(colony_id);
    (application.to_owned(), environment.to_owned())
}

/// The same as parts of the id.
pub fn identity_in_id(colony_id: &str) -> (&str, &str) {
    fn split(id: &str) -> Option<(&str, &str)> {
        let (application, environment) = id.rsplit_once('-')?;
        (!application.is_empty() && ENVIRONMENTS.contains(&environment)).then_some((application, environment))
    }
    let without_suffix = colony_id.rsplit_once('-').and_then(|(head, tail)| {
        let is_suffix = tail.len() == 6 && tail.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        is_suffix.then_some(head)
    });
    split(colony_id).or_else(|| without_suffix.and_then(split)).unwrap_or((colony_id, ""))
}

/// Which application and environment a colony watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColonyIdentity {
    /// The colony.
    pub colony_id: String,
    /// The application it watches.
    pub application_name: String,
    /// The environment it watches; may be empty.
    pub environment: String,
}
