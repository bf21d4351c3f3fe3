//! Who sees the pages: a token where one is needed, kept in a cookie that reaches no method.

use super::*;
use crate::access::Role;
use crate::dashboard::cookie_of;

#[tokio::test]
async fn a_browser_without_a_token_logs_in_first() {
    let store = store().await;
    let opened = Opened::over(&store, true).await;
    let first = opened.get("/patterns?state=all").await;
    assert_eq!(first.status, 303);
    assert!(first.head.contains("location: /login?next=%2fpatterns%3fstate%3dall"), "{}", first.head);
    for path in ["/live", "/data/series"] {
        let answer = opened.get(path).await;
        assert!(
            answer.status == 401 && answer.head.contains("content-type: application/json"),
            "{path} {}",
            answer.head
        );
    }
    let form = opened.get("/login?next=/patterns").await;
    assert!(form.status == 200 && form.body.contains("name=\"token\"") && !form.body.contains("shop-staging"));
    assert_eq!(opened.get("/assets/style.css").await.status, 200, "the form has a style");
    let token = opened.tokens.create("browser", Role::Readonly).unwrap();
    // as a browser sends the form of a page
    let origin = format!("http://{}", opened.services.address());
    let of_page = [("origin", origin.as_str())];
    let sent = opened.send("POST", "/login", &of_page, &format!("token={token}&next=%2Fpatterns")).await;
    assert!(sent.status == 303 && sent.head.contains("location: /patterns"), "{}", sent.head);
    let cookie = format!("set-cookie: {}={token}; httponly; samesite=lax; path=/", cookie_of(REEF)).to_lowercase();
    assert!(sent.head.contains(&cookie), "{}", sent.head);
    let foreign = opened.send("POST", "/login", &[("origin", "null")], &format!("token={token}")).await;
    assert_eq!(foreign.status, 403, "a page of another site cannot log a browser in");
}

#[tokio::test]
async fn a_wrong_or_revoked_token_is_refused_in_words() {
    let store = store().await;
    let opened = Opened::over(&store, true).await;
    let token = opened.tokens.create("browser", Role::Readonly).unwrap();
    let id = token.split('_').nth(1).unwrap();
    assert!(opened.tokens.revoke(id).unwrap());
    for (sent, status, words) in
        [(token.as_str(), 401, "not valid here"), ("coral_1_2", 401, "not valid here"), ("a%20b", 400, "not a token")]
    {
        let answer = opened.send("POST", "/login", &[], &format!("token={sent}")).await;
        assert_eq!(answer.status, status, "{sent}: {}", answer.body);
        assert!(answer.body.contains(words) && !answer.head.contains("set-cookie"), "{sent}: {}", answer.body);
    }
    let kept = format!("{}={token}", cookie_of(REEF));
    let form = opened.send("GET", "/login", &[("cookie", kept.as_str())], "").await;
    assert!(form.status == 200 && form.body.contains("no longer valid"), "{}", form.body);
}

#[tokio::test]
async fn a_cookie_opens_the_pages_and_no_method() {
    let store = store().await;
    let opened = Opened::over(&store, true).await;
    let token = opened.tokens.create("browser", Role::Readonly).unwrap();
    let cookie = format!("{}={token}", cookie_of(REEF));
    let with = [("cookie", cookie.as_str())];
    assert_eq!(opened.send("GET", "/", &with, "").await.status, 200);
    let wrong = format!("{}=coral_1_2", cookie_of(REEF));
    assert_eq!(opened.send("GET", "/", &[("cookie", wrong.as_str())], "").await.status, 303);
    let call = [("cookie", cookie.as_str()), ("content-type", "application/json")];
    let called = opened.send("POST", "/coral.reef.v1.ReefService/ListColonies", &call, "{}").await;
    assert_eq!(called.status, 401, "{}", called.body);
    let origin = format!("http://{}", opened.services.address());
    let out = opened.send("POST", "/logout", &[with[0], ("origin", origin.as_str())], "").await;
    let forgotten = format!("{}=; httponly; samesite=lax; path=/; max-age=0", cookie_of(REEF));
    assert!(out.status == 303 && out.head.contains(&forgotten), "{}", out.head);
}

#[tokio::test]
async fn a_page_of_another_site_and_another_host_are_refused() {
    let store = store().await;
    let opened = Opened::over(&store, false).await;
    let foreign = opened.send("GET", "/", &[("origin", "http://evil.example")], "").await;
    assert_eq!(foreign.status, 403);
    let address = opened.services.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\nhost: evil.example\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
}
