"""International symbols of units -> CLDR's keys of their names."""

from __future__ import annotations

_LENGTHS = {"km": "kilometer", "m": "meter", "dm": "decimeter", "cm": "centimeter", "mm": "millimeter",
            "μm": "micrometer", "nm": "nanometer"}

SYMBOLS = {
    **{symbol: f"length-{name}" for symbol, name in _LENGTHS.items()},
    "kg": "mass-kilogram", "g": "mass-gram", "mg": "mass-milligram", "μg": "mass-microgram", "t": "mass-tonne",
    "l": "volume-liter", "L": "volume-liter", "ml": "volume-milliliter", "mL": "volume-milliliter",
    "cl": "volume-centiliter", "dl": "volume-deciliter", "hl": "volume-hectoliter",
    "m²": "area-square-meter", "km²": "area-square-kilometer", "cm²": "area-square-centimeter", "ha": "area-hectare",
    "m³": "volume-cubic-meter", "km³": "volume-cubic-kilometer", "cm³": "volume-cubic-centimeter",
    "mm²": "area-square-millimeter", "mm³": "volume-cubic-millimeter",
    "m/s²": "acceleration-meter-per-square-second", "m/s2": "acceleration-meter-per-square-second",
    "dL": "volume-deciliter",
    "mg/dL": "concentr-milligram-ofglucose-per-deciliter", "l/100 km": "consumption-liter-per-100-kilometer",
    "qm": "area-square-meter", "sqm": "area-square-meter", "m2": "area-square-meter", "km2": "area-square-kilometer",
    "m3": "volume-cubic-meter", "cm3": "volume-cubic-centimeter",
    "s": "duration-second", "ms": "duration-millisecond", "μs": "duration-microsecond", "ns": "duration-nanosecond",
    "min": "duration-minute", "h": "duration-hour",
    "W": "power-watt", "kW": "power-kilowatt", "MW": "power-megawatt", "GW": "power-gigawatt", "mW": "power-milliwatt",
    "V": "electric-volt", "A": "electric-ampere", "mA": "electric-milliampere", "Ω": "electric-ohm",
    "J": "energy-joule", "kJ": "energy-kilojoule", "cal": "energy-calorie", "kcal": "energy-kilocalorie",
    "kWh": "energy-kilowatt-hour", "eV": "energy-electronvolt", "N": "force-newton",
    "Hz": "frequency-hertz", "kHz": "frequency-kilohertz", "MHz": "frequency-megahertz", "GHz": "frequency-gigahertz",
    "Pa": "pressure-pascal", "hPa": "pressure-hectopascal", "kPa": "pressure-kilopascal",
    "MPa": "pressure-megapascal", "bar": "pressure-bar", "mbar": "pressure-millibar", "atm": "pressure-atmosphere",
    "°C": "temperature-celsius", "°F": "temperature-fahrenheit", "K": "temperature-kelvin", "°": "angle-degree",
    "kB": "digital-kilobyte", "KB": "digital-kilobyte", "MB": "digital-megabyte", "GB": "digital-gigabyte",
    "TB": "digital-terabyte", "PB": "digital-petabyte", "kbit": "digital-kilobit", "Mbit": "digital-megabit",
    "Gbit": "digital-gigabit", "%": "concentr-percent", "‰": "concentr-permille",
    "lx": "light-lux", "lm": "light-lumen", "cd": "light-candela", "mol": "concentr-mole", "dB": "sound-decibel",
    "mV": "electric-millivolt", "kV": "electric-kilovolt", "px": "graphics-pixel", "MP": "graphics-megapixel",
}
