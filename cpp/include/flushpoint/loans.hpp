// Loans over collateral, which a liquidator repays in part and takes collateral for: the rules, once.
#pragma once

namespace flushpoint {

struct LoanRule {
    double close_factor;  // share of the debt that is repaid
    double full_below;    // health factor at which all is
    double bonus;         // of the liquidator, a share of what it repays
    double minimum;       // of debt and collateral: where either is less, all is repaid
    double sells;         // share of the collateral taken that the liquidator sells at once
};

// What a liquidator repays, and the share of the collateral that it takes.
struct Repayment {
    double money;
    double share;
};

inline bool repaid_whole(const LoanRule& rule, double debt, double collateral, double health) {
    return health <= rule.full_below || debt < rule.minimum || collateral < rule.minimum;
}
inline Repayment repayment(const LoanRule& rule, double debt, double collateral, bool whole) {
    const double money = whole ? debt : rule.close_factor * debt, worth = money * (1.0 + rule.bonus);
    if (worth < collateral) return {money, worth / collateral};
    return {collateral / (1.0 + rule.bonus), 1.0};
}

}  // namespace flushpoint
