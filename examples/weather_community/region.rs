//! Where warnings are for, and what is warned of.

use support::names;

names! {
    /// A province or a metropolis.
    pub(crate) enum Region {
        Seoul => "seoul",
        Busan => "busan",
        Daegu => "daegu",
        Incheon => "incheon",
        Gwangju => "gwangju",
        Daejeon => "daejeon",
        Ulsan => "ulsan",
        Sejong => "sejong",
        Gyeonggi => "gyeonggi",
        Gangwon => "gangwon",
        Chungbuk => "chungbuk",
        Chungnam => "chungnam",
        Jeonbuk => "jeonbuk",
        Jeonnam => "jeonnam",
        Gyeongbuk => "gyeongbuk",
        Gyeongnam => "gyeongnam",
        Jeju => "jeju",
    }
}

names! {
    /// What is warned of.
    pub(crate) enum Danger {
        HeavyRain => "heavy_rain",
        HeavySnow => "heavy_snow",
        StrongWind => "strong_wind",
        Typhoon => "typhoon",
        HeatWave => "heat_wave",
        ColdWave => "cold_wave",
        FineDust => "fine_dust",
    }
}

names! {
    /// How the sky looks.
    pub(crate) enum Sky {
        Sunny => "sunny",
        Cloudy => "cloudy",
        Rain => "rain",
        Snow => "snow",
        Wind => "wind",
        Dust => "dust",
    }
}
