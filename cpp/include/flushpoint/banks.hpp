// Banks, which sell to restore equity / assets before they have to close: the rules, once.
//
// With A the assets and E the equity, a bank defaults where E / A has fallen below `floor`, and sells all; it acts where E / A
// has fallen below `threshold`, and lets its assets fall to E / target: cash on hand pays loans, the rest is raised.
#pragma once

#include <algorithm>

#include "flushpoint/market.hpp"

namespace flushpoint {

// One entry an account; null where accounts are no banks.
struct BanksView {
    const double* threshold;  // at most the target
    const double* target;
    const double* floor;  // at most the threshold
    const double* cash;   // on hand
    const double* illiquid;
    const double* loan;  // that can be paid back
};

// What a bank has in the course of a path or scenario.
struct Bank {
    double cash;
    double loan;
    bool defaulted = false;
};

// Below `share` of assets, but for rounding, so that a bank at its target rests.
inline bool below(double equity, double assets, double share) { return equity < (share - tie) * assets; }

// Pays loans, and returns the money that sales must raise.
inline double pay_down(Bank& bank, double equity, double assets, double target) {
    const double excess = assets - equity / target, paid = std::min({bank.cash, excess, bank.loan});
    bank.cash -= paid;
    bank.loan -= paid;
    return below(equity, assets - paid, target) ? excess - paid : 0.0;
}

}  // namespace flushpoint
