//! Sessions: a browser logs in with a token, which it keeps in a cookie that no script can read.

use super::Dashboard;
use super::frame::head;
use super::query::Query;
use crate::access::{Asker, Caller, DeniedKind, Role, TokenCheck};
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Most bytes of a form: a token and an address.
const FORM_MAX: usize = 8_192;
/// Longest token; ours are shorter.
const TOKEN_MAX: usize = 256;
/// What else a cookie has. It is sent with links of other sites, so that a pasted link opens its page; it counts for reading,
/// and for forms that a page of this reef itself has sent.
const ATTRIBUTES: &str = "HttpOnly; SameSite=Lax; Path=/";

/// What the pages know of tokens.
pub struct Login {
    /// Whether a browser needs a token.
    pub is_needed: bool,
    /// The name of the cookie in which a browser keeps it.
    pub cookie: Arc<str>,
    /// Checks a token.
    pub check: TokenCheck,
}

/// What the page that asks for a token says of the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// Nothing: there was none.
    None,
    /// It has not the form of a token.
    NoToken,
    /// It was never valid here, or was revoked.
    NotValid,
    /// The one that the browser has kept is valid no longer.
    Ended,
    /// Tokens cannot be checked now.
    Unavailable,
}

/// The name of the cookie of a reef. Browsers keep one jar for all ports of a host, so reefs have different names.
pub(crate) fn cookie_of(reef_id: &str) -> String {
    let digits: String = Sha256::digest(reef_id.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("coral_token_{digits}")
}

/// The token of a browser's request that reads. For forms see [`sender`].
pub(crate) fn token_of<'a>(method: &Method, headers: &'a HeaderMap, cookie: &str) -> Option<&'a str> {
    if [Method::GET, Method::HEAD].contains(method) { kept(headers, cookie) } else { None }
}

/// The token that a browser has kept.
fn kept<'a>(headers: &'a HeaderMap, cookie: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie).map(|(_, token)| token)
}

/// Who sends a form, and by which name they are counted.
pub struct Sender {
    /// What they may do.
    pub role: Role,
    /// Their name.
    pub asker: Asker,
}

/// Why a form is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// There is no valid token.
    LoggedOut,
    /// It is not of a page of this reef.
    Foreign,
    /// Tokens cannot be checked now.
    Unavailable,
}

/// Who sends a form that may spend something. A cookie counts only with the origin of this very reef, which a browser states
/// with each form, and which no page of another site can choose.
pub fn sender(dashboard: &Dashboard, request: &Request) -> Result<Sender, Unsent> {
    let (headers, extensions) = (request.headers(), request.extensions());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().authority().map(|authority| authority.as_str()));
    let is_own = headers.get(header::ORIGIN).map(|origin| {
        let site = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
        site.is_some() && site == host
    });
    if is_own == Some(false) {
        return Err(Unsent::Foreign);
    }
    if let Some(role) = extensions.get::<Caller>().and_then(Caller::role) {
        return Ok(Sender { role, asker: extensions.get::<Asker>().cloned().unwrap_or_default() });
    }
    let Some(token) = kept(headers, &dashboard.login.cookie).filter(|kept| !kept.is_empty()) else {
        return Err(Unsent::LoggedOut);
    };
    if is_own.is_none() {
        return Err(Unsent::Foreign);
    }
    match checked(dashboard, token) {
        // the public part of the token, as other callers are counted
        Ok(role) => Ok(Sender { role, asker: Asker(token.split('_').nth(1).unwrap_or_default().to_owned()) }),
        Err(Notice::Unavailable) => Err(Unsent::Unavailable),
        Err(_) => Err(Unsent::LoggedOut),
    }
}

/// Whether a text can be a token: nothing that could end a header.
fn is_token(text: &str) -> bool {
    (1..=TOKEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Where to go after the login: a path of this reef. Browsers drop control characters from an address, so that `/\t/host`
/// would be another host.
fn next_of(query: &Query) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let is_own = |to: &&str| to.starts_with('/') && !to.starts_with("//") && to.bytes().all(is_plain);
    query.get("next").filter(is_own).unwrap_or("/").to_owned()
}

/// The page that asks for a token.
pub async fn form(State(dashboard): State<Arc<Dashboard>>, request: Request) -> Response {
    let next = next_of(&Query::read(request.uri().query().unwrap_or_default()));
    let is_known = request.extensions().get::<Caller>().is_some_and(|caller| caller.role().is_some());
    if is_known {
        return Redirect::to(&next).into_response();
    }
    let kept = token_of(request.method(), request.headers(), &dashboard.login.cookie).filter(|kept| !kept.is_empty());
    let notice = match kept.map(|kept| checked(&dashboard, kept)) {
        None | Some(Ok(_)) => Notice::None,
        Some(Err(Notice::Unavailable)) => Notice::Unavailable,
        Some(Err(_)) => Notice::Ended,
    };
    Html(page(&dashboard, &next, notice).into_string()).into_response()
}

/// The role of the holder of a token, or what to say of it.
fn checked(dashboard: &Dashboard, token: &str) -> Result<Role, Notice> {
    if !is_token(token) {
        return Err(Notice::NoToken);
    }
    (dashboard.login.check)(token).map_err(|denied| match denied.kind {
        DeniedKind::Unavailable => Notice::Unavailable,
        DeniedKind::Unauthenticated | DeniedKind::Forbidden => Notice::NotValid,
    })
}

/// Checks the token, and keeps it where it is right.
pub async fn log_in(State(dashboard): State<Arc<Dashboard>>, request: Request) -> Response {
    let Ok(body) = to_bytes(request.into_body(), FORM_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the form is too long\n").into_response();
    };
    let fields = Query::read(&String::from_utf8_lossy(&body));
    let (token, next) = (fields.get("token").unwrap_or_default(), next_of(&fields));
    if let Err(notice) = checked(&dashboard, token) {
        let status = match notice {
            Notice::NoToken => StatusCode::BAD_REQUEST,
            Notice::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        };
        return (status, Html(page(&dashboard, &next, notice).into_string())).into_response();
    }
    with_cookie(&format!("{}={token}; {ATTRIBUTES}", dashboard.login.cookie), &next)
}

/// Forgets the token.
pub async fn log_out(State(dashboard): State<Arc<Dashboard>>) -> Response {
    with_cookie(&format!("{}=; {ATTRIBUTES}; Max-Age=0", dashboard.login.cookie), "/login")
}

fn with_cookie(cookie: &str, next: &str) -> Response {
    let mut response = Redirect::to(next).into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

fn page(dashboard: &Dashboard, next: &str, notice: Notice) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head("Log in", None))
            body data-tag="" {
                main.login #main {
                    h1 { "Log in" }
                    p { "This reef " strong { (dashboard.scope.reef_id) } " answers only to a token." }
                    @match notice {
                        Notice::None => {}
                        Notice::NoToken => { p role="alert" { "That is not a token. It begins with " code { "coral_" } "." } }
                        Notice::NotValid => { p role="alert" { "This token is not valid here: it belongs to another reef, or was revoked." } }
                        Notice::Ended => { p role="alert" { "The token that this browser used is no longer valid." } }
                        Notice::Unavailable => { p role="alert" { "Tokens cannot be checked now: see the log of the reef." } }
                    }
                    form method="post" action="/login" {
                        input type="hidden" name="next" value=(next);
                        label { span { "Token" }
                            input type="password" name="token" required autocomplete="current-password" autofocus;
                        }
                        button type="submit" { "Log in" }
                    }
                    p.muted { "An administrator of the reef creates one: " code { "coral reef token create --role readonly" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cookie_counts_for_reading_only() {
        let mut headers = HeaderMap::new();
        headers
            .append(header::COOKIE, HeaderValue::from_static("theme=dark; coral_token_b=x; coral_token_a=coral_1_2"));
        assert_eq!(token_of(&Method::GET, &headers, "coral_token_a"), Some("coral_1_2"));
        assert_eq!(token_of(&Method::POST, &headers, "coral_token_a"), None);
        assert_eq!(token_of(&Method::GET, &HeaderMap::new(), "coral_token_a"), None);
    }

    #[test]
    fn reefs_on_one_host_have_cookies_of_their_own() {
        let (one, other) = (cookie_of("shop-reef-a1b2c3"), cookie_of("bank-reef-d4e5f6"));
        assert!(one != other && one.len() == "coral_token_".len() + 8, "{one} {other}");
    }

    #[test]
    fn a_login_leads_to_a_page_of_this_reef() {
        for (next, to) in [
            ("/patterns?env=a", "/patterns?env=a"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("/\u{1}/evil.example", "/"),
            ("/\n/evil.example", "/"),
            ("/ümlaut", "/"),
        ] {
            assert_eq!(next_of(&Query::default().with("next", next)), to);
        }
        assert!(is_token("coral_1a2B_xyz") && !is_token("") && !is_token("a; Path=/x") && !is_token("a\r\nb"));
    }
}
