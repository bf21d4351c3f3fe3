//! The only file that uses timely's operator interface: a state machine stepped once per tick becomes an operator.
//!
//! Every operator of this crate is a plain struct that takes and returns corrections. [`by_tick`] feeds it all
//! corrections of one tick at once, consolidated and sorted, as soon as the tick is complete at its inputs. So what a
//! state machine sees does not depend on how messages were batched or which worker sent them first.

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::{AsCollection, VecCollection};
use model::time::TimeMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, ParallelizationContract, Pipeline};
use timely::dataflow::operators::Exchange as _;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::Broadcast;

/// A signed change of a collection: `+1` inserts the row, `-1` takes it back.
pub type Change<Row> = (Row, i64);

/// A collection of rows over ticks.
pub type Rows<'scope, Row> = VecCollection<'scope, u64, Row, i64>;

/// An update as it travels.
type Update<Row> = (Row, u64, i64);

/// Data that can be exchanged between workers.
pub trait Row: ExchangeData + Clone + Ord {}
impl<T: ExchangeData + Clone + Ord> Row for T {}

/// The command to update published results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Evaluate {
    /// From where event patterns look back; `None` before the first row.
    pub events_now: Option<TimeMs>,
    /// From where metric pairs look back; `None` before the first row.
    pub metrics_now: Option<TimeMs>,
}

/// An operator's input of one tick: signed rows and, in some ticks, the command to evaluate.
struct Waiting<Row, Capability> {
    capability: Capability,
    changes: Vec<Change<Row>>,
    order: Option<Evaluate>,
}

/// Runs `step` once for each tick that has rows or an order. Rows go to the worker that `pact` names; `orders` must
/// already be on every worker.
///
/// The rows of a tick arrive consolidated (repeats and retractions inside the tick cancel) and sorted.
pub fn by_tick<'scope, In: Row, Out: Row>(
    rows: Rows<'scope, In>,
    orders: Rows<'scope, Evaluate>,
    name: &str,
    pact: impl ParallelizationContract<u64, Vec<Update<In>>>,
    mut step: impl FnMut(Vec<Change<In>>, Option<Evaluate>) -> Vec<Change<Out>> + 'static,
) -> Rows<'scope, Out> {
    rows.inner
        .binary_frontier::<_, CapacityContainerBuilder<Vec<Update<Out>>>, _, _, _, _>(
            orders.inner,
            pact,
            Pipeline,
            name,
            move |_, _| {
                let mut waiting = BTreeMap::new();
                move |(rows, rows_frontier), (orders, orders_frontier), output| {
                    rows.for_each_stamp(|stamp, containers| {
                        // an empty stamp carries no data
                        let Some(capability) = stamp.retain_least(output.output_index()) else { return };
                        for (row, tick, diff) in containers.flat_map(|container| container.drain(..)) {
                            let entry = waiting.entry(tick).or_insert_with(|| Waiting {
                                capability: capability.delayed(&tick),
                                changes: Vec::new(),
                                order: None,
                            });
                            entry.changes.push((row, diff));
                        }
                    });
                    orders.for_each_stamp(|stamp, containers| {
                        let Some(capability) = stamp.retain_least(output.output_index()) else { return };
                        for (order, tick, _) in containers.flat_map(|container| container.drain(..)) {
                            let entry = waiting.entry(tick).or_insert_with(|| Waiting {
                                capability: capability.delayed(&tick),
                                changes: Vec::new(),
                                order: None,
                            });
                            entry.order = entry.order.max(Some(order));
                        }
                    });
                    while let Some(entry) = waiting.first_entry()
                        && !rows_frontier.less_equal(entry.key())
                        && !orders_frontier.less_equal(entry.key())
                    {
                        let (tick, Waiting { capability, mut changes, order }) = entry.remove_entry();
                        consolidate(&mut changes);
                        let corrections = step(changes, order);
                        let mut session = output.session(&capability);
                        session.give_iterator(corrections.into_iter().map(|(row, diff)| (row, tick, diff)));
                    }
                }
            },
        )
        .as_collection()
}

/// Rows go to the worker that the hash names, modulo the number of workers.
pub fn to_owner<In: Row>(route: impl Fn(&In) -> u64 + 'static) -> impl ParallelizationContract<u64, Vec<Update<In>>> {
    Exchange::new(move |update: &Update<In>| route(&update.0))
}

/// Rows stay on the worker where they are.
pub fn stay<In: Row>() -> impl ParallelizationContract<u64, Vec<Update<In>>> {
    Pipeline
}

/// Sends every row to every worker.
pub fn to_all<'scope, In: Row>(rows: Rows<'scope, In>) -> Rows<'scope, In> {
    rows.inner.broadcast().as_collection()
}

/// Sends every row to worker 0.
pub fn to_first<'scope, In: Row>(rows: Rows<'scope, In>) -> Rows<'scope, In> {
    rows.inner.exchange(|_| 0).as_collection()
}
