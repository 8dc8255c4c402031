"""Forecasting: what training on a data set will do to character, and the bench that scores whoever says so."""

from upbringing.forecast.method import Case, Fitted, Forecast, Measured, Method
from upbringing.forecast.outlook import Outlook, forecast

__all__ = ["Case", "Fitted", "Forecast", "Measured", "Method", "Outlook", "forecast"]
