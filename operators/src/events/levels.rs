//! Two levels of event types: of one service, and of a whole colony (any service).
//!
//! Alerts of one incident come from whichever service notices first; a relation between two applications is then spread
//! over pairs of services. Each event therefore also counts for the type of its colony, whose service is `*`.

use crate::events::ebh::{WEIGHT_APPLICATION, WEIGHT_CALL, WEIGHT_OTHER, WEIGHT_SERVICE};
use crate::events::episodes::EventStamp;
use model::event::EventTypeKey;
use model::pattern::ANY_SERVICE;

/// The service of a type by its name. One that is itself called as the colony as a whole is gets a backslash, as any that
/// differs from it by backslashes alone, so that no two get the same name.
///
/// ```
/// use coral_operators::events::levels::service_of;
/// assert_eq!(["cart", "", "*", "\\*", "a*"].map(service_of), ["cart", "", "\\*", "\\\\*", "a*"]);
/// ```
pub fn service_of(name: &str) -> String {
    if name.trim_start_matches('\\') == ANY_SERVICE { format!("\\{name}") } else { name.to_owned() }
}

/// Whether a type is that of a whole colony.
pub fn is_general(key: &EventTypeKey) -> bool {
    key.service_id == ANY_SERVICE
}

/// The type of the colony as a whole.
pub fn general(key: &EventTypeKey) -> EventTypeKey {
    EventTypeKey { service_id: ANY_SERVICE.to_owned(), ..key.clone() }
}

/// An event on both levels.
pub fn on_both_levels(stamp: EventStamp) -> [EventStamp; 2] {
    let general = EventStamp { key: general(&stamp.key), ..stamp.clone() };
    [stamp, general]
}

/// Whether `special` is `whole` or a service of it.
fn is_within(special: &EventTypeKey, whole: &EventTypeKey) -> bool {
    special == whole
        || (is_general(whole) && special.colony_id == whole.colony_id && special.event_type == whole.event_type)
}

/// Whether the pair `special` is another one than `whole` and each of its ends is the same or a service of it.
pub fn is_more_specific(special: &(EventTypeKey, EventTypeKey), whole: &(EventTypeKey, EventTypeKey)) -> bool {
    special != whole && is_within(&special.0, &whole.0) && is_within(&special.1, &whole.1)
}

/// Prior weight of a pair, by the names of its ends, `(application, service)`, and whether a call links their services.
///
/// ```
/// use coral_operators::events::levels::weight;
/// let (cart, pay) = (("shop", "cart"), ("bank", "pay"));
/// assert_eq!((weight(cart, pay, false), weight(cart, pay, true)), (1, 10));
/// assert_eq!((weight(cart, ("shop", "pay"), false), weight(cart, ("bank", "cart"), false)), (10, 3));
/// ```
pub fn weight(source: (&str, &str), target: (&str, &str), is_linked: bool) -> u32 {
    if !source.0.is_empty() && source.0 == target.0 {
        WEIGHT_APPLICATION
    } else if is_linked {
        WEIGHT_CALL
    } else if !source.1.is_empty() && source.1 == target.1 && source.1 != ANY_SERVICE {
        WEIGHT_SERVICE
    } else {
        WEIGHT_OTHER
    }
}
