// SPDX-License-Identifier: BSD-3-Clause
//! `Serialize` and `Deserialize` where a value has a form of its own.

use std::ops::RangeInclusive;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Geometry, RangeSet};

impl Serialize for RangeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de> Deserialize<'de> for RangeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RangeSet, D::Error> {
        let ranges = Vec::<RangeInclusive<u64>>::deserialize(deserializer)?;
        RangeSet::from_ranges(&ranges).map_err(D::Error::custom)
    }
}

/// As the bytes of the stream format, which is versioned and checked.
impl Serialize for Geometry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.save().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Geometry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Geometry, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        Geometry::load(&bytes).map_err(D::Error::custom)
    }
}
