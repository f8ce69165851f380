// Accounts over several markets as winners: which of their positions can be closed against losers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "flushpoint/accounts.hpp"
#include "flushpoint/deleveraging.hpp"

namespace flushpoint {

class AccountWinners {
public:
    struct Place {
        std::size_t account;
        std::size_t position;
    };

    AccountWinners(const AccountsView& view, std::size_t markets) : in_(markets) {
        for (std::size_t a = 0; a < view.count; ++a) {
            for (std::size_t p = view.begin(a); p < view.end(a); ++p) in_[static_cast<std::size_t>(view.market[p])].push_back({a, p});
        }
    }

    std::size_t count(std::size_t m) const { return in_[m].size(); }
    const Place& operator()(std::size_t m, std::int32_t place) const { return in_[m][static_cast<std::size_t>(place)]; }

    // Appends the positions of one side of a market that are in profit at these marks, but those of accounts that fail
    // themselves (in order). Their places in the market count from `first`.
    void find(const Holdings& held, std::size_t m, bool shorts, const double* mark, std::span<const std::size_t> failing,
              std::int32_t first, std::vector<Candidate>& winners) const {
        const AccountsView& view = held.view();
        for (std::size_t i = 0; i < in_[m].size(); ++i) {
            const auto [a, p] = in_[m][i];
            const double q = held.quantity(a, p);
            if (shorts ? !(q < 0.0) : !(q > 0.0)) continue;
            // What netting leaves may have cost less than nothing.
            const double entry = std::max(view.cost[p] / view.quantity[p], 0.0);
            Candidate one{size_of(q), entry, 0.0, 0.0, first + static_cast<std::int32_t>(i)};
            if (!(profit(one, mark[m], shorts) > 0.0) || std::binary_search(failing.begin(), failing.end(), a)) continue;
            const Standing now = standing(held, a, mark);
            const double worth = equity(held, a, mark);
            one.bankruptcy_price = bankruptcy_price(mark[m], q, worth / now.gross);
            one.wallet = held.money(a);
            for (std::size_t k = view.begin(a); k < view.end(a); ++k) one.wallet += held.left(a, k) * view.cost[k];
            one.asked = (worth - now.slack) / now.gross;
            winners.push_back(one);
        }
    }

private:
    std::vector<std::vector<Place>> in_;  // of each market
};

}  // namespace flushpoint
