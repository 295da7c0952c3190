//! Where warnings are for, and what is warned of.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Writes an enum whose values have a name on the wire, and in the database.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($value:ident = $name:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub(crate) enum $type {
            $(#[serde(rename = $name)] $value),+
        }

        impl $type {
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$value => $name),+ }
            }
        }
    };
}

names! {
    /// A province or a metropolis.
    Region {
        Seoul = "seoul",
        Busan = "busan",
        Daegu = "daegu",
        Incheon = "incheon",
        Gwangju = "gwangju",
        Daejeon = "daejeon",
        Ulsan = "ulsan",
        Sejong = "sejong",
        Gyeonggi = "gyeonggi",
        Gangwon = "gangwon",
        Chungbuk = "chungbuk",
        Chungnam = "chungnam",
        Jeonbuk = "jeonbuk",
        Jeonnam = "jeonnam",
        Gyeongbuk = "gyeongbuk",
        Gyeongnam = "gyeongnam",
        Jeju = "jeju",
    }
}

names! {
    /// What is warned of.
    Danger {
        HeavyRain = "heavy_rain",
        HeavySnow = "heavy_snow",
        StrongWind = "strong_wind",
        Typhoon = "typhoon",
        HeatWave = "heat_wave",
        ColdWave = "cold_wave",
        FineDust = "fine_dust",
    }
}

names! {
    /// How the sky looks.
    Sky {
        Sunny = "sunny",
        Cloudy = "cloudy",
        Rain = "rain",
        Snow = "snow",
        Wind = "wind",
        Dust = "dust",
    }
}
