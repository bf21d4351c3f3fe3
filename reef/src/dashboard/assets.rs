//! Files of the pages: scripts, style and icon, embedded in the program.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Where they are.
pub const PREFIX: &str = "/assets/";

/// One file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

static ASSETS: [Asset; 7] = [
    Asset { name: "style.css", kind: STYLE, body: include_bytes!("assets/style.css") },
    Asset { name: "live.js", kind: SCRIPT, body: include_bytes!("assets/live.js") },
    Asset { name: "charts.js", kind: SCRIPT, body: include_bytes!("assets/charts.js") },
    Asset { name: "icon.svg", kind: "image/svg+xml", body: include_bytes!("assets/icon.svg") },
    // version 1.6.32, as npm has it
    Asset { name: "uPlot.esm.js", kind: SCRIPT, body: include_bytes!("assets/uPlot.esm.js") },
    Asset { name: "uPlot.css", kind: STYLE, body: include_bytes!("assets/uPlot.css") },
    Asset { name: "uPlot.LICENSE.txt", kind: PLAIN, body: include_bytes!("assets/uPlot.LICENSE.txt") },
];

/// By name, with the tag by which a browser knows that it has the file.
static TAGGED: LazyLock<BTreeMap<&'static str, (&'static Asset, String)>> = LazyLock::new(|| {
    let tag = |asset: &Asset| {
        let digits: String = Sha256::digest(asset.body).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\"{digits}\"")
    };
    ASSETS.iter().map(|asset| (asset.name, (asset, tag(asset)))).collect()
});

/// The file that a request names. Names are not versioned: a browser asks each time whether its copy is the current one.
pub async fn file(request: Request) -> Response {
    let name = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let Some((asset, tag)) = TAGGED.get(name) else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, asset.kind)], asset.body).into_response(),
    };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::body::Body;

    fn request(path: &str, tag: Option<&str>) -> Request {
        let mut request = Request::builder().uri(path);
        if let Some(tag) = tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        request.body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_file_is_sent_once_and_asked_for_by_its_tag_later() {
        for asset in &ASSETS {
            let first = file(request(&format!("{PREFIX}{}", asset.name), None)).await;
            assert_eq!(first.status(), StatusCode::OK);
            assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
            assert_eq!(first.headers()[header::CONTENT_TYPE], asset.kind);
            let tag = first.headers()[header::ETAG].to_str().unwrap();
            assert_eq!(tag.len(), 66, "a SHA-256: {tag}");
            let again = file(request(&format!("{PREFIX}{}", asset.name), Some(tag))).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        }
        assert_eq!(file(request("/assets/../Cargo.toml", None)).await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn no_file_names_another_host() {
        for asset in ASSETS.iter().filter(|asset| !asset.name.starts_with("uPlot")) {
            let text = String::from_utf8_lossy(asset.body).replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("http://") && !text.contains("https://") && !text.contains("url("),
                "{}",
                asset.name
            );
        }
    }
}
