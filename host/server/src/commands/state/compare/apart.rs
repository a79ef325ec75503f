//! Of the prefixes in which two sides differ: which pins do, and in what.
//!
//! The second side is held against what is remembered of the first: digests of its pins' fields,
//! if they are few, or sixteen bytes of each. These tell that two pins differ and not in what, so
//! the first side is read once more for those differences that are told. However many pins differ,
//! a side is read a few times and not once for every some thousands of them.

use super::{PREFIXES, Report, Side, Sides, TOLD_MAX, digest, prefix};
use crate::commands::Failure;
use holdfast_model::{Cid, Pin};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many pins of the first side are remembered at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// By digests of their fields.
    pub(super) fields: u64,
    /// By a digest of each.
    pub(super) digests: u64,
}

impl Room {
    /// Some 200 MiB at most, however large the pins are: what is remembered of one has one size. A
    /// table is full at seven eighths of a power of two, and is copied when it grows.
    pub(super) const USUAL: Self = Self {
        fields: 200_000,
        digests: 7 << 20,
    };
}

/// Tells which pins differ in these prefixes, of which each comes with the number of its pins on
/// the first side.
pub(super) async fn tell(
    sides: &impl Sides,
    differing: &[(usize, u64)],
    room: Room,
    report: &mut Report,
) -> Result<(), Failure> {
    let pins: u64 = differing.iter().map(|(_, pins)| pins).sum();
    if differing.is_empty() {
        return Ok(());
    }
    if pins <= room.fields {
        return by_fields(sides, &Prefixes::of(differing), report).await;
    }
    let mut untold = Untold::default();
    for group in groups(differing, room.digests) {
        by_digests(sides, &group, report, &mut untold).await?;
    }
    untold.tell(sides, report).await
}

/// Some of the prefixes.
struct Prefixes(Vec<bool>);

impl Prefixes {
    fn of(some: &[(usize, u64)]) -> Self {
        let has = |prefix| some.iter().any(|(one, _)| *one == prefix);
        Self((0..PREFIXES).map(has).collect())
    }

    fn have(&self, cid: &Cid) -> bool {
        self.0.get(prefix(cid)).is_some_and(|has| *has)
    }
}

/// The prefixes, as many at a time as there is room for; a single one may need more.
fn groups(differing: &[(usize, u64)], room: u64) -> Vec<Prefixes> {
    let mut groups = Vec::new();
    let (mut group, mut held) = (Vec::new(), 0);
    for (prefix, pins) in differing {
        if held > 0 && held + pins > room {
            groups.push(Prefixes::of(&group));
            group.clear();
            held = 0;
        }
        held += pins;
        group.push((*prefix, *pins));
    }
    groups.push(Prefixes::of(&group));
    groups
}

/// What is remembered of a pin: its digest, by which two are told apart, and what more is wanted.
/// That it can be copied keeps it of one size: a pin may have 10 MiB.
#[derive(Debug, Clone, Copy)]
struct Held<T: Copy> {
    mark: u64,
    more: T,
}

/// What a walk over both sides takes of each pin.
struct Taken<K, T> {
    key: fn(&Cid) -> K,
    more: fn(&Pin) -> T,
}

impl<K: Eq + Hash, T: Copy> Taken<K, T> {
    fn held(&self, pin: &Pin) -> Held<T> {
        Held {
            mark: low(digest(&pin.to_proto())),
            more: (self.more)(pin),
        }
    }

    /// Holds the second side's pins of some prefixes against what it remembers of the first's.
    /// Counts and hands on those that differ; answers what only the first has.
    async fn walk(
        &self,
        sides: &impl Sides,
        prefixes: &Prefixes,
        report: &mut Report,
        mut differs: impl FnMut(&mut Report, T, &Pin),
    ) -> Result<HashMap<K, Held<T>>, Failure> {
        let mut first = HashMap::new();
        let hold = |pin: Pin| {
            if prefixes.have(&pin.cid) {
                let pin = pin.into_stored();
                first.insert((self.key)(&pin.cid), self.held(&pin));
            }
        };
        sides.read(Side::First, hold).await?;
        let only_second = only_in(sides, Side::Second);
        let compare = |pin: Pin| {
            if !prefixes.have(&pin.cid) {
                return;
            }
            let other = pin.into_stored();
            match first.remove(&(self.key)(&other.cid)) {
                None => {
                    report.only_second += 1;
                    report.tell(other.cid, only_second.clone());
                }
                Some(one) if one.mark != self.held(&other).mark => {
                    report.different += 1;
                    differs(report, one.more, &other);
                }
                Some(_) => {}
            }
        };
        sides.read(Side::Second, compare).await?;
        report.only_first += u64::try_from(first.len()).unwrap_or(u64::MAX);
        Ok(first)
    }
}

/// Compares the pins of some prefixes field by field.
async fn by_fields(
    sides: &impl Sides,
    prefixes: &Prefixes,
    report: &mut Report,
) -> Result<(), Failure> {
    let taken = Taken {
        key: |cid| *cid,
        more: Fields::of,
    };
    let tell = |report: &mut Report, one: Fields, other: &Pin| {
        report.tell(other.cid, one.differing_from(Fields::of(other)));
    };
    let left = taken.walk(sides, prefixes, report, tell).await?;
    let only_first = only_in(sides, Side::First);
    for cid in left.into_keys() {
        report.tell(cid, only_first.clone());
    }
    Ok(())
}

/// Compares the pins of some prefixes by a digest of each.
async fn by_digests(
    sides: &impl Sides,
    prefixes: &Prefixes,
    report: &mut Report,
    untold: &mut Untold,
) -> Result<(), Failure> {
    let taken = Taken { key, more: |_| () };
    let note = |_: &mut Report, (), other: &Pin| untold.differs(other);
    let left = taken.walk(sides, prefixes, report, note).await?;
    for key in left.into_keys() {
        untold.is_missing(key);
    }
    Ok(())
}

/// Differences for which the first side must be read once more to tell of them; no more than can be
/// told.
#[derive(Default)]
struct Untold {
    /// Pins of the second side that are others on the first.
    different: HashMap<Cid, Fields>,
    /// Keys of those that only the first has.
    missing: HashSet<u64>,
}

impl Untold {
    fn differs(&mut self, other: &Pin) {
        if self.different.len() < TOLD_MAX {
            self.different.insert(other.cid, Fields::of(other));
        }
    }

    fn is_missing(&mut self, key: u64) {
        if self.missing.len() < TOLD_MAX {
            self.missing.insert(key);
        }
    }

    async fn tell(mut self, sides: &impl Sides, report: &mut Report) -> Result<(), Failure> {
        let is_all = self.different.is_empty() && self.missing.is_empty();
        if is_all || !report.can_tell_more() {
            return Ok(());
        }
        let only_first = only_in(sides, Side::First);
        let find = |pin: Pin| {
            let cid = pin.cid;
            if let Some(other) = self.different.remove(&cid) {
                let one = Fields::of(&pin.into_stored());
                report.tell(cid, one.differing_from(other));
            } else if self.missing.remove(&key(&cid)) {
                report.tell(cid, only_first.clone());
            }
        };
        sides.read(Side::First, find).await.map(drop)
    }
}

fn only_in(sides: &impl Sides, side: Side) -> String {
    format!("only in {}", sides.name(side))
}

/// What stands for a CID. Of ten million, two have the same once in three hundred thousand times.
fn key(cid: &Cid) -> u64 {
    low(digest(&cid.to_bytes()))
}

fn low(digest: u128) -> u64 {
    u64::try_from(digest & u128::from(u64::MAX)).unwrap_or_default()
}

/// A digest of each field of a pin, in the order of [`FIELDS`]: enough to name those that differ.
#[derive(Debug, Clone, Copy)]
struct Fields([u64; FIELDS.len()]);

/// What a pin has that IPFS Cluster stores.
const FIELDS: [&str; 13] = [
    "type",
    "allocations",
    "max_depth",
    "reference",
    "timestamp",
    "replication_factor_min",
    "replication_factor_max",
    "name",
    "shard_size",
    "expire_at",
    "metadata",
    "pin_update",
    "origins",
];

impl Fields {
    fn of(pin: &Pin) -> Self {
        let options = &pin.options;
        Self([
            hash(&pin.pin_type),
            hash(&pin.allocations),
            hash(&pin.max_depth),
            hash(&pin.reference),
            hash(&pin.timestamp),
            hash(&options.replication_factor_min),
            hash(&options.replication_factor_max),
            hash(&options.name),
            hash(&options.shard_size),
            hash(&options.expire_at),
            hash(&options.metadata),
            hash(&options.pin_update),
            hash(&options.origins),
        ])
    }

    /// Names what two pins of a CID do not have alike.
    fn differing_from(self, other: Self) -> String {
        let pairs = FIELDS.iter().zip(self.0.into_iter().zip(other.0));
        let differing = pairs.filter(|(_, (one, other))| one != other);
        let named: Vec<&str> = differing.map(|(name, _)| *name).collect();
        format!("{} differ", named.join(", "))
    }
}

/// The same for the same, within this process.
fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::state::compare::{Unread, compare_sides};
    use holdfast_model::{PinType, UnixMillis};
    use std::cell::Cell;

    /// Two sides in memory that count how often they are read.
    struct Counting {
        pins: [Vec<Pin>; 2],
        reads: [Cell<u32>; 2],
    }

    impl Counting {
        fn of(first: Vec<Pin>, second: Vec<Pin>) -> Self {
            Self {
                pins: [first, second],
                reads: Default::default(),
            }
        }

        async fn report(&self, room: Room) -> (Report, [u32; 2]) {
            let report = compare_sides(self, room).await.unwrap();
            (report, self.reads.each_ref().map(Cell::take))
        }
    }

    impl Sides for Counting {
        fn name(&self, side: Side) -> String {
            format!("{side:?}")
        }

        async fn read(&self, side: Side, take: impl FnMut(Pin)) -> Result<Unread, Failure> {
            let side = usize::from(side == Side::Second);
            self.reads[side].update(|reads| reads + 1);
            self.pins[side].iter().cloned().for_each(take);
            Ok(Unread::default())
        }
    }

    fn pin(n: u64, name: &str) -> Pin {
        let mut bytes = vec![1, 0x55, 0, 8];
        bytes.extend(n.to_be_bytes());
        let cid = Cid::from_bytes(&bytes).unwrap();
        let mut pin = Pin::recursive(cid, UnixMillis::new(1_700_000_000_000));
        pin.options.name = name.to_owned();
        pin
    }

    fn pins(numbers: std::ops::Range<u64>, name: &str) -> Vec<Pin> {
        numbers.map(|n| pin(n, name)).collect()
    }

    const SMALL: Room = Room {
        fields: 200,
        digests: 7_340,
    };

    /// A thousandth of ten million pins, in a thousandth of the room: by fields alone each side
    /// would be read some fifty times.
    #[tokio::test]
    async fn sides_that_differ_in_all_pins_are_read_a_few_times() {
        let sides = Counting::of(pins(0..10_000, "one"), pins(0..10_000, "other"));
        let (report, reads) = sides.report(SMALL).await;
        assert_eq!(report.different, 10_000);
        assert_eq!((report.only_first, report.only_second), (0, 0));
        assert_eq!(report.differences.len(), TOLD_MAX);
        assert!(
            report
                .differences
                .iter()
                .all(|one| one.what == "name differ")
        );
        // For the sums, for two halves, and the first for what is told.
        assert_eq!(reads, [4, 3]);

        let sides = Counting::of(pins(0..7_000, "one"), pins(10_000..17_000, "one"));
        let (report, reads) = sides.report(SMALL).await;
        assert_eq!((report.only_first, report.only_second), (7_000, 7_000));
        // What only the second has is told at once, and enough of it.
        assert_eq!(reads, [2, 2]);
    }

    #[tokio::test]
    async fn sides_that_hardly_differ_are_read_twice_and_the_same_ones_once() {
        let mut other = pins(0..5_000, "one");
        let sides = Counting::of(other.clone(), other.clone());
        let (report, reads) = sides.report(SMALL).await;
        assert!(report.is_same());
        assert_eq!(reads, [1, 1]);
        other[7] = pin(7, "other");
        let sides = Counting::of(pins(0..5_000, "one"), other);
        let (report, reads) = sides.report(SMALL).await;
        assert_eq!(report.different, 1);
        assert_eq!(reads, [2, 2]);
    }

    #[tokio::test]
    async fn digests_tell_what_fields_tell() {
        let first = [pins(0..2_000, "one"), pins(2_000..2_030, "first")].concat();
        let second = [
            pins(0..1_970, "one"),
            pins(2_000..2_030, "second"),
            pins(3_000..3_020, "one"),
        ]
        .concat();
        let sides = Counting::of(first, second);
        let mut told = Vec::new();
        for room in [
            Room::USUAL,
            Room {
                fields: 0,
                digests: 10,
            },
        ] {
            let (report, _) = sides.report(room).await;
            let counts = [report.only_first, report.only_second, report.different];
            assert_eq!(counts, [30, 20, 30]);
            let each = report.differences.into_iter();
            let mut each: Vec<_> = each.map(|one| (one.cid.to_string(), one.what)).collect();
            each.sort_unstable();
            told.push(each);
        }
        assert_eq!(told[0].len(), 80);
        assert_eq!(told[0], told[1]);
    }

    /// What is remembered of a pin is of one size: pins of 10 MiB each, as many as fields are kept
    /// of, would be two terabytes.
    #[tokio::test]
    async fn large_pins_are_told_apart_and_not_held() {
        const fn bytes<T: Copy>() -> usize {
            size_of::<T>()
        }
        let largest = bytes::<(Cid, Held<Fields>)>() as u64;
        assert!(Room::USUAL.fields * largest <= 64 << 20, "{largest}");
        assert!(Room::USUAL.digests * bytes::<(u64, Held<()>)>() as u64 <= 112 << 20);

        let heavy = |letter: &str| {
            let mut pin = pin(1, "one");
            let filling = letter.repeat(9 << 20);
            pin.options.metadata.insert("filling".to_owned(), filling);
            pin
        };
        for fields in [200, 0] {
            let room = Room {
                fields,
                digests: 10,
            };
            let mut other = heavy("y");
            other.pin_type = PinType::Meta;
            let sides = Counting::of(vec![heavy("x"), pin(2, "")], vec![other, pin(2, "")]);
            let (report, _) = sides.report(room).await;
            let told: Vec<&str> = report
                .differences
                .iter()
                .map(|one| one.what.as_str())
                .collect();
            assert_eq!(told, ["type, metadata differ"]);
        }
    }
}
