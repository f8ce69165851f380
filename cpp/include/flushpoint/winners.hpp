// Winners: positions in profit that are closed against losers whose loss the fund cannot pay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "flushpoint/venue_book.hpp"

namespace flushpoint {

// Winners that no book holds: none.
struct NobodyElse {
    // Appends those of one side, with places from `first` on.
    void find(bool /*shorts*/, std::int32_t /*first*/, std::vector<Candidate>& /*winners*/) const {}
    // So much of the one that stands so many places behind the first is closed at a price.
    void close(std::int32_t /*place*/, double /*size*/, double /*price*/) const {}
};

inline namespace FLUSHPOINT_ARCH {

// Of a book, and of others, at a mark price; what is found is kept in the book.
template <class Others>
class Winners {
public:
    Winners(VenueBook& book, double mark_price, double scale, Ledger& ledger, Others others)
        : book_(book), mark_price_(mark_price), scale_(scale), ledger_(ledger), others_(others) {}

    // Looks for positions of a side that are in profit; tells whether there is any.
    bool find(VenueBook::Side& side) {
        book_.pulse.spent(side.columns().count / 4);
        book_.winners.clear();
        side.for_open([&](double quantity, double trigger, double bankruptcy, std::size_t rank) {
            const VenueColumns& columns = side.columns();
            const Candidate one{quantity, columns.entry_price[rank], bankruptcy, trigger, columns.index[rank]};
            if (profit(one, mark_price_, side.shorts()) > 0.0) book_.winners.push_back(one);
            return 0.0;
        });
        if (scale_ != 1.0) {
            for (Candidate& one : book_.winners) {
                one.bankruptcy_price *= scale_;
                one.trigger *= scale_;
            }
        }
        others_.find(side.shorts(), first_other(), book_.winners);
        return !book_.winners.empty();
    }
    // Chooses how much of each that was found is closed, so much in all; returns how much there is.
    double choose(const VenueBook::Side& side, double needed) {
        std::vector<double>& taken = book_.taken;
        taken.resize(book_.winners.size());
        book_.pulse.spent(2 * taken.size());
        return deleverage(ledger_.venue->adl, mark_price_, side.shorts(), needed, book_.winners, taken);
    }
    // Closes what was chosen, so much in all, at one price.
    void close(VenueBook::Side& side, double found, double price) {
        const std::vector<Candidate>& winners = book_.winners;
        const double s = side.sign();
        std::size_t i = 0;
        side.for_open([&](double, double, double bankruptcy, std::size_t rank) {
            if (i == winners.size() || winners[i].place != side.columns().index[rank]) return 0.0;
            const double size = book_.taken[i++];
            if (size == 0.0) return size;
            const double owed = scale_ * bankruptcy, equity = s * size * (price - owed);
            ledger_.adl_count += 1;
            ledger_.released += equity;
            ledger_.value += s * size * owed;
            if (book_.positions) book_.positions->add(side.columns().index[rank], size, size * price, size, equity);
            return size;
        });
        for (; i < winners.size(); ++i) {
            if (book_.taken[i] == 0.0) continue;
            ledger_.adl_count += 1;
            others_.close(winners[i].place - first_other(), book_.taken[i], price);
        }
        ledger_.adl_quantity += found;
        book_.winners.clear();
    }

private:
    // Places of others come after all in the book.
    std::int32_t first_other() const {
        return static_cast<std::int32_t>(book_.longs.columns().count + book_.shorts.columns().count);
    }

    VenueBook& book_;
    double mark_price_, scale_;
    Ledger& ledger_;
    Others others_;
};

}  // namespace FLUSHPOINT_ARCH
}  // namespace flushpoint
